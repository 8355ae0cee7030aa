#!/usr/bin/env bash
# Makes .venv in the present folder, a checkout, and installs the project into it:
#
#     launch/cloud/install.sh EXTRA [PACKAGE...]      EXTRA: cuda or tpu
#
# With uv, because it brings its own Python: TPU images have 3.10, and 3.11 is the least we run on.
set -euo pipefail

if [[ $# -lt 1 ]]; then
  sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
extra=$1
shift
export PATH="$HOME/.local/bin:$PATH"
command -v uv >/dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh
uv venv --quiet --allow-existing --python 3.12 .venv
uv pip install --quiet --python .venv/bin/python ".[$extra]" "$@"
