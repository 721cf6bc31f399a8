def save(obj, f):
    if isinstance(f, str):
        with open(f, "w") as file:
            file.write(obj)
