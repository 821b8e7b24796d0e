#!/usr/bin/env bash
# nwbinspector ends with exit code 0 on a file in which it finds critical faults, also with the configuration of an archive.
#
# nwbinspector 0.7.2 with pynwb 4.2.0. One would guess that `nwbinspector FILE && upload`, or a line of a CI script, stops at a file that the tool calls
# critically wrong, as linters do. Spike times in falling order, "always a data error" in its own words, and a missing subject are reported as CRITICAL, and
# the exit code is 0 with `--config dandi` as well. Only the report, or the file of --json-file-path, tells.
#
# Seen: two CRITICAL entries, exit code 0, with and without `--config dandi`.
# bioFA's tests read what is found (tests/test_exchange_recordings.py), and docs/formats/recordings.md says how a script can.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/env"
"$scratch/env/bin/pip" install --quiet nwbinspector==0.7.2 pynwb==4.2.0 numpy==2.3.5
cd "$scratch"
env/bin/python - <<'PY'
import datetime

from pynwb import NWBHDF5IO, NWBFile

start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
file = NWBFile(session_description="falling spike times", identifier="one", session_start_time=start)
file.add_unit(spike_times=[0.3, 0.2, 0.1])
with NWBHDF5IO("one.nwb", "w") as io:
    io.write(file)
PY
seen=""
for options in "" "--config dandi"; do
    # shellcheck disable=SC2086 # options are words
    if env/bin/nwbinspector one.nwb $options > report.txt 2>/dev/null; then code=0; else code=$?; fi
    critical=$(grep -cE '^0\.[0-9]+ +one\.nwb' report.txt || true)
    echo "nwbinspector one.nwb $options: $critical critical, exit code $code"
    seen="$seen$critical/$code "
done
[ "$seen" = "2/0 2/0 " ]
