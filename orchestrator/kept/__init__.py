"""What is kept of a run, so that it can be judged again when its nodes are gone.

One folder a run, `.orchestrate/runs/PROJECT/RUN/`: what was asked (`playbook.yaml`,
`run.json`, `plan.json`), what happened (`events.jsonl`), what nodes used of the machine
(`usage.jsonl`), what each node wrote and when (`node-N.log`, `node-N.records.jsonl`) and how
it ended (`node-N.json`), and what was made of it (`verdict.json`). Files of documents are
written in one step and those of lines only grow, so that a program that is killed leaves
nothing that cannot be read. See docs/results.md.
"""
