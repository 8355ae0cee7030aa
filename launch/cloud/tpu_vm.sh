#!/usr/bin/env bash
# Runs one card on a TPU of Google Cloud, and gives the TPU back whatever happens.
#
# usage: tpu_vm.sh [--spot] NAME ZONE TYPE RUNTIME CARD WORKDIR [FLAG...]
#
#   NAME     of the queued resource and its TPU, a new one
#   TYPE     accelerator type, such as v6e-1; its chips must divide the card's batches
#   RUNTIME  its image, such as v2-alpha-tpuv6e
#   WORKDIR  gs://BUCKET/FOLDER, as the TPU's own disks go with it; the same one resumes
#   FLAG     of launch/main.py, such as --config.seed=1
#
#   export DATA=gs://b/datasets
#   launch/cloud/tpu_vm.sh --spot labor us-east5-b v6e-1 v2-alpha-tpuv6e configs/spl.py gs://b/spl
#
# DATA is a folder of prepared data sets (README, On a cloud), copied to the disk of every worker;
# without it there is only what is rendered.
#
# Needs an installed and authorised gcloud with a project set. Keep it running, as in tmux: its end
# is the TPU's. POLL_SECONDS (30) is the time between two looks at the queue.
set -euo pipefail

usage() {
  sed -n 's/^# usage/usage/p' "$0" >&2
  sed -n '/^#   NAME/,/^# is the/s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

spot=
if [[ ${1:-} == --spot ]]; then
  spot=--spot
  shift
fi
[[ $# -ge 6 && $6 == gs://* ]] || usage
name=$1 zone=$2 type=$3 runtime=$4 card=$5 workdir=$6
shift 6
fetch=
if [[ -n ${DATA:-} ]]; then
  printf -v fetch ' && mkdir -p datasets && gcloud storage rsync -r %q datasets' "$DATA"
  set -- --config.data.dir=datasets "$@"
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
archive=$(mktemp)
trap 'rm -f "$archive"' EXIT

on_all_workers() { gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command="$1"; }

clean_up() {
  rm -f "$archive"
  gcloud compute tpus queued-resources delete "$name" --zone="$zone" --force --quiet ||
    echo "error: could not delete $name in $zone: delete it by hand, it costs money" >&2
}

gcloud compute tpus queued-resources create "$name" --node-id="$name" --zone="$zone" \
  --accelerator-type="$type" --runtime-version="$runtime" $spot
trap clean_up EXIT # not before: a resource of this name that was there already is not ours

until [[ ${state:-} == ACTIVE ]]; do
  state=$(gcloud compute tpus queued-resources describe "$name" --zone="$zone" \
    --format='value(state.state)')
  case $state in
    ACTIVE) ;;
    FAILED | SUSPENDING | SUSPENDED)
      echo "error: $name is $state: no TPU was given" >&2
      exit 1
      ;;
    *) sleep "${POLL_SECONDS:-30}" ;;
  esac
done

tar -C "$root" --exclude=./.git --exclude=./.venv --exclude=./runs --exclude=./data \
  --exclude=./datasets -czf "$archive" .
gcloud compute tpus tpu-vm scp "$archive" "$name:jax_labor.tgz" --zone="$zone" --worker=all
# gcsfs: what gs:// paths are read and written with.
on_all_workers "mkdir -p jax_labor && tar -C jax_labor -xzf jax_labor.tgz &&
  cd jax_labor && bash launch/cloud/install.sh tpu gcsfs$fetch"

printf -v line '%q ' python launch/main.py --config="$card" --workdir="$workdir" "$@"
status=0
on_all_workers "cd jax_labor && source .venv/bin/activate && $line" || status=$?
if [[ $status -ne 0 ]]; then
  echo "status $status. If the run was stopped or the TPU taken away, the same command resumes" >&2
fi
exit "$status"
