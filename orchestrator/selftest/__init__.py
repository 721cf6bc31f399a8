"""The one command by which an owner of GPUs checks every mode and reports: two ranks in each.

What is run is what anybody's playbook runs: playbooks are generated, loaded, applied and
destroyed, with the trainer that comes along.
"""
