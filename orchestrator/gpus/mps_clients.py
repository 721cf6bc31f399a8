"""How an MPS daemon is asked for its clients, and how the answer reads. Pure.

`ps` lists the clients of the moment, one a line that begins with its number (NVIDIA's manual:
`PID ID SERVER DEVICE NAMESPACE COMMAND`). A process is a client from its first use of CUDA to its
end, so all ranks of a gang are at once; the most that ever were is remembered beside the daemon's
logs, since after the end nobody could tell.
"""

from __future__ import annotations

import re

ASK = """\
list=$(echo ps | nvidia-cuda-mps-control 2>&1) || { echo "$list"; exit 1; }
now=$(echo "$list" | grep -c '^ *[0-9]')
file=$CUDA_MPS_LOG_DIRECTORY/most-clients
most=$(cat "$file" 2>/dev/null || echo 0)
if [ "$now" -gt "$most" ]; then most=$now; echo "$most" > "$file"; fi
echo "clients: $now now, $most at most\""""
"""A shell command, for where the daemon runs; it fails where that does not answer."""

_ANSWER = re.compile(r"clients: [0-9]{1,9} now, ([0-9]{1,9}) at most", re.ASCII)


def most_clients(answer: str) -> int:
    """The most clients that the daemon has had at once; 0 for what is no such answer."""
    match = _ANSWER.fullmatch(answer)
    return int(match[1]) if match else 0
