"""Lines that spoil a playbook, and the whole text of what they get."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.record import RecordCase, record_inputs
from tests.unit.playbook.head import HEAD, FaultsOf

DURATION_FIX = "write it like 60s, 5m, 1h, 500ms or 1m30s"
SIZE_FIX = "write it like 2GiB, 512MiB, 1.5GiB or a number of bytes"
KNOWN = (
    "known: gpu, health_checks, image, include, name, network, on_failure, probe, ranks, "
    "rendezvous, restarts, security, vars, version"
)
LIKE_NETWORK = "write it like {internal: true}"
ONE_CHECK = "write one an item, such as `- joined` or `- joined: {within: 60s}`"
LOOPBACK = "is a loopback, and every container has its own"
NAME_OF_NODE_0 = "MASTER_ADDR is set to node 0's name for you"
FOLDER_FIX = "use a folder such as /data"
VARIABLE_FIX = "use letters, digits and _, the first one no digit"
DIGEST = "sha256:" + "0123456789abcdef" * 4
PINNED = f"app@{DIGEST}"
STRICT = "security: {profile: strict} # of a pinned image"
SYNTAX_FIX = "check indentation, brackets and quotes near this place"

# What is appended to HEAD (from line 7 on), and the faults without the file's name.
APPENDED: dict[str, list[str]] = {
    # Keys.
    "nmae: y": ["7:1: nmae: unknown key; did you mean name?"],
    "health-checks: []": ["7:1: health-checks: unknown key; did you mean health_checks?"],
    "zzz: 1": [f"7:1: zzz: unknown key; {KNOWN}"],
    '"a b": 1': [f"7:1: ['a b']: unknown key; {KNOWN}"],
    '"\\e[31m": 1': [f"7:1: ['\\x1b[31m']: unknown key; {KNOWN}"],
    "name: y": ["7:1: name: the key is given twice, here and at line 2; remove one of the two"],
    "faults: []": ["7:1: faults: planned, not in this release; remove it"],
    "<<: {a: b}": ["7:1: merge keys are not supported; write the keys out"],
    "true: 1": ["7:1: the key 'true' is not text; quote it: \"true\""],
    "? [a]\n: b": ['7:3: a key that is not plain text; quote it: "…"'],
    "1: 2": [f"7:1: 1: unknown key; {KNOWN}"],
    # YAML that is refused.
    "gpu: !!map {}": [
        "7:6: gpu: YAML tags such as '!!map' are not supported; "
        "remove the tag; quote a value to make it text"
    ],
    "on_failure: !x stop": [
        "7:13: on_failure: YAML tags such as '!x' are not supported; "
        "remove the tag; quote a value to make it text"
    ],
    "on_failure: *nowhere": [
        "7:13: on_failure: alias '*nowhere' names nothing above it; "
        "define it before, or quote text that begins with *"
    ],
    "gpu: &a {mode: *a}": [
        "7:16: gpu.mode: alias '*a' names nothing above it; "
        "define it before, or quote text that begins with *"
    ],
    "---\na: 1": ["7:1: a second document begins here; keep one per file"],
    "gpu: {": [f"8:1: not valid YAML: a value is missing here; {SYNTAX_FIX}"],
    "\tgpu: {}": ["7:1: not valid YAML: a tab where YAML wants spaces; indent with spaces"],
    "on_failure: @stop": [
        "7:13: not valid YAML: found character that cannot start any token; "
        "quote text that begins with a special character"
    ],
    "on_failure: stop: now": [
        "7:17: not valid YAML: a key where none can stand; "
        "indent keys of one mapping alike, and quote text that holds ': '"
    ],
    "gpu: {mode: cpu": [f"8:1: not valid YAML: did not find expected ',' or '}}'; {SYNTAX_FIX}"],
    # Types.
    "network: {internal: no}": [
        "7:21: network.internal: expected true or false, found the text 'no'; "
        "write true or false: in YAML 1.2 yes, no, on and off are text"
    ],
    "network: {internal: 1}": [
        "7:21: network.internal: expected true or false, found the number 1; write true or false"
    ],
    "network: {name: 3.10}": [
        '7:17: network.name: expected text, found the number 3.10; quote it: "3.10"'
    ],
    "network:": [f"7:9: network: expected a mapping, found nothing; {LIKE_NETWORK}"],
    "network: [a]": [f"7:10: network: expected a mapping, found a list; {LIKE_NETWORK}"],
    "health_checks: joined": [
        "7:16: health_checks: expected a list, found the text 'joined'; write [joined]"
    ],
    "health_checks: {joined: {within: 60s}}": [
        "7:16: health_checks: expected a list, found a mapping; "
        "write it like [joined, {completed: {within: 5m}}]"
    ],
    "gpu: exclusive": [
        "7:6: gpu: expected a mapping, found the text 'exclusive'; write it like {mode: cpu}"
    ],
    "  mounts: ['./data:/data']": [
        "7:12: ranks.mounts[0]: expected a mapping, found the text './data:/data'; "
        "write it like {source: ./data, target: /data}"
    ],
    "  env: [A=b]": [
        '7:8: ranks.env: expected a mapping, found a list; write it like {OMP_NUM_THREADS: "1"}'
    ],
    "  env: {A: null}": [
        '7:12: ranks.env.A: expected text, found nothing; write "" for none, '
        'or "null" if that text is meant'
    ],
    "  nproc_per_node: 2.0": [
        "7:19: ranks.nproc_per_node: expected a whole number, found the number 2.0; "
        "write digits only"
    ],
    '  nproc_per_node: "2"': [
        "7:19: ranks.nproc_per_node: expected a whole number, found the text '2'; remove the quotes"
    ],
    "  nproc_per_node: true": [
        "7:19: ranks.nproc_per_node: expected a whole number, found true; write digits only"
    ],
    "  nproc_per_node: 1_0": [
        "7:19: ranks.nproc_per_node: expected a whole number, found the text '1_0'; "
        "write digits only"
    ],
    "  nproc_per_node: 010": [
        "7:19: ranks.nproc_per_node: '010' is a number with a leading zero, which YAML 1.1 reads "
        'as octal; quote it if text is meant: "010"'
    ],
    "  resources: {cpus: .inf}": [
        "7:21: ranks.resources.cpus: '.inf' is not a finite number; "
        'quote it if text is meant: ".inf"'
    ],
    "  resources: {cpus: many}": [
        "7:21: ranks.resources.cpus: expected a number, found the text 'many'; "
        "write a number such as 0.5"
    ],
    # Bounds and forms.
    "  nproc_per_node: 65": [
        "7:19: ranks.nproc_per_node: the number 65 is above 64; use at most 64"
    ],
    "rendezvous: {port: 80}": [
        "7:20: rendezvous.port: the number 80 is below 1024, where ports belong to the system; "
        "use 1024 to 65535"
    ],
    "rendezvous: {port: 65536}": [
        "7:20: rendezvous.port: the number 65536 is above 65535; use at most 65535"
    ],
    "rendezvous: {timeout: 60}": [
        "7:23: rendezvous.timeout: the number 60 has no unit; write 60s if seconds are meant"
    ],
    "rendezvous: {timeout: 60 sec}": [
        f"7:23: rendezvous.timeout: the text '60 sec' is not a duration; {DURATION_FIX}"
    ],
    "rendezvous: {timeout: 999h}": [
        f"7:23: rendezvous.timeout: the text '999h' is longer than 30 days; {DURATION_FIX}"
    ],
    "rendezvous: {timeout: 0s}": [
        "7:23: rendezvous.timeout: the text '0s' is not above 0; use more than 0"
    ],
    "rendezvous: {timeout_s: 5s}": [
        "7:14: rendezvous.timeout_s: unknown key; did you mean timeout?"
    ],
    "rendezvous: {backend: ncll}": [
        "7:23: rendezvous.backend: expected auto or gloo or nccl, found the text 'ncll'; "
        "did you mean nccl?"
    ],
    "rendezvous: {backend: nccl}": [
        "7:23: rendezvous.backend: nccl needs a GPU for every rank, and gpu.mode is cpu; "
        "use auto or gloo"
    ],
    "gpu: {mode: tpu}": [
        "7:13: gpu.mode: expected cpu or exclusive or shared or mps or mig, found the text 'tpu'; "
        "did you mean cpu?"
    ],
    # Secrets and files of variables.
    "  secrets: [no-such.token]": [
        "7:13: ranks.secrets[0]: the variable NO_SUCH_TOKEN is not set; "
        "export NO_SUCH_TOKEN, or give {name: no-such.token, file: …}"
    ],
    "  secrets: [{name: a, env: NO_SUCH}]": [
        "7:13: ranks.secrets[0]: the variable NO_SUCH is not set; "
        "export NO_SUCH, or give {name: a, file: …}"
    ],
    "  secrets: [{name: a, file: nope}]": [
        "7:29: ranks.secrets[0].file: 'nope': no such file or directory; create it first"
    ],
    "  secrets: [{name: a, file: here}]": [
        "7:29: ranks.secrets[0].file: 'here': not a file; give the path of a file"
    ],
    "  secrets: [{name: a, file: empty}]": [
        "7:29: ranks.secrets[0].file: 'empty': empty; write the value into it"
    ],
    "  secrets: [{name: a, file: big}]": [
        "7:29: ranks.secrets[0].file: 'big': larger than 512 KiB; shorten it"
    ],
    "  secrets: [{name: a, file: token, env: TOKEN}]": [
        "7:13: ranks.secrets[0]: a file and a variable; give one of them"
    ],
    "  secrets: [{name: a, file: token}, {name: a, file: token}]": [
        "7:37: ranks.secrets[1]: the secret a is given twice; remove one of the two"
    ],
    "  secrets: [../a]": [
        "7:13: ranks.secrets[0]: the text '../a' is not a secret; "
        "write its name, or {name: …, file: …}"
    ],
    "  secrets: [{name: ../a, file: token}]": [
        "7:20: ranks.secrets[0].name: the text '../a' is not the name of a secret; "
        "use letters, digits, _ . and -, at most 63, the first one not . or -"
    ],
    "  secrets: [{name: path, env: A-B}]": [
        "7:31: ranks.secrets[0].env: the text 'A-B' is not the name of a variable; "
        "use letters, digits and _, the first one no digit"
    ],
    "  secrets: [{file: token}]": ["7:13: ranks.secrets[0].name: missing; add name: hf_token"],
    "  mounts: [{source: here, target: /run/secrets/x}]\n  secrets: [{name: a, file: token}]": [
        f"7:35: ranks.mounts[0].target: /run/secrets is where ranks.secrets are; {FOLDER_FIX}"
    ],
    "  env_file: here": [
        "7:13: ranks.env_file: expected a list, found the text 'here'; write [here]"
    ],
    "  env_file: [nope.env]": [
        "7:14: ranks.env_file[0]: nope.env: no such file or directory; create it first"
    ],
    "  env_file: [here]": ["7:14: ranks.env_file[0]: here: not a file; give the path of a file"],
    "  env_file: [bad.env]": [
        "7:14: ranks.env_file[0]: bad.env:2: RANK is set for every rank by orchestrate; remove it",
        "7:14: ranks.env_file[0]: bad.env:4: no name of a variable before the =; "
        "write KEY=VALUE, without blanks or `export`",
        "7:14: ranks.env_file[0]: bad.env:5: ORCHESTRATE_X is set for every rank by orchestrate; "
        "remove it",
    ],
    "  env_file: [latin1.env]": [
        "7:14: ranks.env_file[0]: latin1.env:2: not UTF-8; save the file as UTF-8"
    ],
    "  env_file: [big]": ["7:14: ranks.env_file[0]: big: larger than 256 KiB; shorten it"],
    "  per_node: {1: {env_file: [nope.env]}}": [
        "7:29: ranks.per_node.1.env_file[0]: nope.env: no such file or directory; create it first"
    ],
    # Security.
    "security: {profile: strikt}": [
        "7:21: security.profile: expected default or strict, found the text 'strikt'; "
        "did you mean strict?"
    ],
    "security: {profile: strict}": [
        "3:14: image.tag: strict wants a pinned image, and a tag may move; "
        "write it like name@sha256:…, or give image.build"
    ],
    f"{STRICT}\nnetwork: {{internal: false}}": [
        "8:21: network.internal: strict lets no node out of its network; "
        "remove it, or use profile: default"
    ],
    f"{STRICT}\nnetwork: {{name: lab, external: true}}": [
        "8:32: network.external: strict cannot vouch for a network that is not ours; "
        "remove it, or use profile: default"
    ],
    f"  user: 0\n{STRICT}": ["7:9: ranks.user: strict runs no node as root; write another uid"],
    f"  user: '00:1'\n{STRICT}": [
        "7:9: ranks.user: strict runs no node as root; write another uid"
    ],
    f"  user: trainer\n{STRICT}": [
        "7:9: ranks.user: strict wants numbers: the image says who 'trainer' is, and may say root; "
        "write a uid or uid:gid, such as 1000:1000"
    ],
    f"  user: '1000:wheel'\n{STRICT}": [
        "7:9: ranks.user: strict wants numbers: the image says who '1000:wheel' is, and may say "
        "root; write a uid or uid:gid, such as 1000:1000"
    ],
    f"  mounts: [{{source: here, target: /tmp/}}]\n{STRICT}": [
        f"7:35: ranks.mounts[0].target: strict gives every node a /tmp of its own; {FOLDER_FIX}"
    ],
    "security: {tmp_size: 1GiB}": [
        "7:22: security.tmp_size: only the profile strict gives a node a /tmp of its own; "
        "add profile: strict, or remove it"
    ],
    "security: {profile: strict, tmp_size: 1KiB}": [
        "3:14: image.tag: strict wants a pinned image, and a tag may move; "
        "write it like name@sha256:…, or give image.build",
        "7:39: security.tmp_size: the text '1KiB' is below 1MiB; use at least 1MiB",
    ],
    # The probe.
    "probe: no": ["7:8: probe: expected on or off, found the text 'no'; write on or off"],
    "probe: of": ["7:8: probe: expected on or off, found the text 'of'; did you mean off?"],
    "probe: 1": ["7:8: probe: expected on or off, found the number 1; write on or off"],
    "probe: [on]": ["7:8: probe: expected on or off, found a list; write on or off"],
    "probe: {}": ["7:8: probe: expected on or off, found a mapping; write on or off"],
    "probe:": ["7:7: probe: expected on or off, found nothing; write on or off"],
    "on_failure: no": [
        "7:13: on_failure: expected stop or keep, found the text 'no'; write stop or keep"
    ],
    "  resources: {memory: 2gb}": [
        f"7:23: ranks.resources.memory: the text '2gb' is not a size; {SIZE_FIX}"
    ],
    "  resources: {memory: 1.5}": [
        f"7:23: ranks.resources.memory: the number 1.5 is not a size; {SIZE_FIX}"
    ],
    "  resources: {memory: 1MiB}": [
        "7:23: ranks.resources.memory: the text '1MiB' is below 6MiB; use at least 6MiB"
    ],
    "  resources: {memory: 900GiB}": [
        "7:23: ranks.resources.memory: 1800.0 GiB for all nodes together, and this machine has "
        "8.0 GiB; lower memory or ranks.nodes"
    ],
    "  per_node: {0: {resources: {memory: 9GiB}}}": [
        "7:13: ranks.per_node: 9.0 GiB for all nodes together, and this machine has 8.0 GiB; "
        "lower memory or ranks.nodes"
    ],
    "  user: -1": [
        "7:9: ranks.user: the number -1 is not a user; "
        "write a uid, uid:gid, or a name that the image knows"
    ],
    "network: {name: -x}": [
        "7:17: network.name: the text '-x' is not the name of a network; use letters, digits, _ . "
        "and -, at most 63, the first one a letter or a digit"
    ],
    "network: {external: true}": [
        "7:21: network.external: true without a name; "
        "add network.name, the name of a network that exists"
    ],
    "network: {name: host, external: true}": [
        "7:17: network.name: nodes find each other by name, and Docker's own host has no names; "
        "use a network of your own"
    ],
    # Health checks.
    "health_checks: [joind]": [
        "7:17: health_checks[0]: 'joind' is no health check; did you mean joined?"
    ],
    "health_checks: [{joined: {}, loss: {}}]": [
        f"7:17: health_checks[0]: expected one health check, found a mapping of 2 keys; {ONE_CHECK}"
    ],
    "health_checks: [7]": [
        f"7:17: health_checks[0]: expected one health check, found the number 7; {ONE_CHECK}"
    ],
    "health_checks: [joined: 60s]": [
        "7:25: health_checks[0].joined: expected a mapping, found the text '60s'; "
        "write it like {within: 60s}"
    ],
    "health_checks: [progress: {within: 5s}]": [
        "7:28: health_checks[0].progress.within: unknown key; known: every"
    ],
    "health_checks: [throughput: {warmup: 3}]": [
        "7:17: health_checks[0]: throughput without a rate; add steps_per_s, tokens_per_s or both"
    ],
    "health_checks: [loss: {matches: two-processes}]": [
        "7:33: health_checks[0].loss.matches: expected nothing or single-process, "
        "found the text 'two-processes'; write nothing or single-process"
    ],
    "health_checks: [http]": ["7:17: health_checks[0].http.port: missing; add port: 8000"],
    "health_checks: [http: {port: 80, path: health}]": [
        "7:40: health_checks[0].http.path: the text 'health' is not the path of a page; begin "
        "with / and use no spaces, such as /health"
    ],
    "health_checks: [consistent: {except: [A-B]}]": [
        "7:39: health_checks[0].consistent.except[0]: the text 'A-B' is not the name of a "
        "variable or a pattern of them; use letters, digits, _ * and ?, the first one no digit"
    ],
    "health_checks: [tcp: {port: 0}]": [
        "7:29: health_checks[0].tcp.port: the number 0 is below 1; use at least 1"
    ],
    "health_checks: [tcp: {port: 80, node: 7}]": [
        "7:39: health_checks[0].tcp.node: there is no node 7; the last one is 1; leave it out to "
        "ask every node"
    ],
    "health_checks: [skew: {ratio: 1}]": [
        "7:31: health_checks[0].skew.ratio: the number 1 is not above 1; use more than 1"
    ],
    "health_checks: [joined, loss, joined: {within: 5s}]": [
        "7:31: health_checks[2]: the check joined is given twice; remove one of the two"
    ],
    # Environment.
    "  env: {A: 1}": ['7:12: ranks.env.A: expected text, found the number 1; quote it: "1"'],
    "  env: {A: true}": ['7:12: ranks.env.A: expected text, found true; quote it: "true"'],
    "  env: {A: }": ['7:12: ranks.env.A: expected text, found nothing; write text, or "" for none'],
    "  env: {A: 0755}": [
        "7:12: ranks.env.A: '0755' is a number with a leading zero, which YAML 1.1 reads as "
        'octal; quote it if text is meant: "0755"'
    ],
    '  env: {A: "a\\0b"}': [
        "7:12: ranks.env.A: 'a\\x00b' is text with a NUL, which no program can be given; remove it"
    ],
    "  env: {1: a}": ['7:9: ranks.env.1: the key 1 is a number, not text; quote it: "1"'],
    "  env: {A-B: a}": [f"7:9: ranks.env.A-B: 'A-B' is not the name of a variable; {VARIABLE_FIX}"],
    '  env: {"": a}': [f"7:9: ranks.env['']: '' is not the name of a variable; {VARIABLE_FIX}"],
    '  env: {WORLD_SIZE: "2"}': [
        "7:9: ranks.env.WORLD_SIZE: set for every rank by orchestrate; remove it"
    ],
    "  env: {ORCHESTRATE_X: a}": [
        "7:9: ranks.env.ORCHESTRATE_X: set for every rank by orchestrate; remove it"
    ],
    "  env: {MASTER_ADDR: node-0}": [
        "7:9: ranks.env.MASTER_ADDR: set for every rank by orchestrate; remove it"
    ],
    "  env: {MASTER_ADDR: localhost}": [
        f"7:22: ranks.env.MASTER_ADDR: 'localhost' {LOOPBACK}; remove it: {NAME_OF_NODE_0}"
    ],
    "  per_node: {1: {env: {MASTER_ADDR: 127.0.0.9}}}": [
        f"7:37: ranks.per_node.1.env.MASTER_ADDR: '127.0.0.9' {LOOPBACK}; "
        f"remove it: {NAME_OF_NODE_0}"
    ],
    # Overrides.
    "  per_node: {2: {}}": [
        "7:14: ranks.per_node.2: there is no node 2: nodes are 0 to 1; "
        "use one of these, or raise ranks.nodes"
    ],
    "  per_node: {-1: {}}": [
        "7:14: ranks.per_node.-1: there is no node -1: nodes are 0 to 1; "
        "use one of these, or raise ranks.nodes"
    ],
    '  per_node: {"1": {}}': [
        "7:14: ranks.per_node.1: the key '1' is not a node rank; write a number, unquoted"
    ],
    # Mounts.
    "  mounts: [{source: here, target: /a}, {target: /b}]": [
        "7:40: ranks.mounts[1].source: missing; add source: ./data"
    ],
    "  mounts: [{source: nope, target: /a}]": [
        "7:21: ranks.mounts[0].source: 'nope': no such file or directory; create it first"
    ],
    "  mounts: [{source: ~/nope, target: /a}]": [
        "7:21: ranks.mounts[0].source: '~/nope': no such file or directory; write ~ out"
    ],
    "  mounts: [{source: .., target: /a}]": [
        "7:21: ranks.mounts[0].source: '..' leaves the playbook's folder; "
        "say outside: true if meant"
    ],
    "  mounts: [{source: link, target: /a}]": [
        "7:21: ranks.mounts[0].source: 'link' leaves the playbook's folder through a link; "
        "say outside: true if meant"
    ],
    "  mounts: [{source: /var/run/docker.sock, target: /a, outside: true}]": [
        "7:21: ranks.mounts[0].source: the Docker socket, which gives a node the whole machine; "
        "mount something else"
    ],
    "  mounts: [{source: engine.sock, target: /a}]": [
        "7:21: ranks.mounts[0].source: the Docker socket, which gives a node the whole machine; "
        "mount something else"
    ],
    "  mounts: [{source: /, target: /a, outside: true}]": [
        "7:21: ranks.mounts[0].source: a folder with the Docker socket in it, which gives a node "
        "the whole machine; mount something else"
    ],
    "  mounts: [{source: 'here:rw', target: /a}]": [
        "7:21: ranks.mounts[0].source: 'here:rw' has a character that Docker's mounts cannot "
        "carry; rename it"
    ],
    "  mounts: [{source: here, target: /a}, {source: here, target: /b/../a}]": [
        "7:63: ranks.mounts[1].target: '/b/../a' is not an absolute path; write it like /data"
    ],
    "  mounts: [{source: here, target: /a}, {source: here, target: //a/}]": [
        "7:63: ranks.mounts[1].target: /a is the target of two mounts; change one of them"
    ],
    "  per_node: {1: {mounts: [{source: nope, target: /a}, {source: here, target: /sys/x}]}}": [
        "7:36: ranks.per_node.1.mounts[0].source: 'nope': no such file or directory; "
        "create it first",
        "7:78: ranks.per_node.1.mounts[1].target: /sys belongs to the kernel; " + FOLDER_FIX,
    ],
    "  per_node: {1: {mounts: [{target: /a}]}}": [
        "7:27: ranks.per_node.1.mounts[0].source: missing; add source: ./data"
    ],
    "  mounts: [{source: here, target: a}]": [
        "7:35: ranks.mounts[0].target: 'a' is not an absolute path; write it like /data"
    ],
    "  mounts: [{source: here, target: /.}]": [
        f"7:35: ranks.mounts[0].target: a mount on / would hide the whole image; {FOLDER_FIX}"
    ],
    "  mounts: [{source: here, target: /opt}]": [
        "7:35: ranks.mounts[0].target: /opt would be in the way of /opt/orchestrate/probe; "
        "use another folder, or probe: off"
    ],
    "  mounts: [{source: here, target: /opt/orchestrate/probe/x/}]": [
        "7:35: ranks.mounts[0].target: /opt/orchestrate/probe/x would be in the way of "
        "/opt/orchestrate/probe; use another folder, or probe: off"
    ],
    "  per_node: {1: {mounts: [{source: here, target: /opt/orchestrate}]}}": [
        "7:50: ranks.per_node.1.mounts[0].target: /opt/orchestrate would be in the way of "
        "/opt/orchestrate/probe; use another folder, or probe: off"
    ],
    "  mounts: [{source: here, target: //proc/1}]": [
        f"7:35: ranks.mounts[0].target: /proc belongs to the kernel; {FOLDER_FIX}"
    ],
}


@pytest.mark.parametrize(("text", "faults"), APPENDED.items())
def test_a_bad_line_gets_its_fault(
    text: str, faults: list[str], faults_of: FaultsOf, record_case: RecordCase
) -> None:
    head = HEAD.replace("{tag: app}", f"{{tag: {PINNED}}}") if STRICT in text else HEAD
    assert faults_of(f"{head}{text}\n") == faults
    record_inputs(record_case, "lines that spoil a playbook, fault by fault", refused=1)


@pytest.mark.parametrize("tag", [PINNED, f"lab.example:5000/app:1@{DIGEST}", DIGEST])
def test_strict_takes_an_image_that_cannot_move(tag: str, faults_of: FaultsOf) -> None:
    head = HEAD.replace("{tag: app}", f"{{tag: '{tag}'}}")
    assert faults_of(f"{head}  user: '1000:0'\n{STRICT}\n") == []


def test_strict_takes_an_image_that_is_built_here(site: Path, faults_of: FaultsOf) -> None:
    (site / "Dockerfile").write_text("FROM scratch\n")
    head = HEAD.replace("{tag: app}", "{tag: app, build: {}}")
    assert faults_of(f"{head}security: {{profile: strict, tmp_size: 2GiB}}\n") == []


def test_one_node_may_have_what_would_split_two(faults_of: FaultsOf) -> None:
    one = HEAD.replace("nodes: 2", "nodes: 1")
    text = one.replace("[python]", "[torchrun, --standalone, --master_addr=localhost, t.py]")
    assert faults_of(text) == []
    assert faults_of(f"{one}  env: {{MASTER_ADDR: localhost}}\n") == [
        "7:9: ranks.env.MASTER_ADDR: set for every rank by orchestrate; remove it"
    ]
