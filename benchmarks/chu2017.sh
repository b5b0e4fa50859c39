#!/usr/bin/env bash
# The reference systems and ours on Chu & Guo's posters, with their fixed split: docs/results.md has what came out.
#   benchmarks/chu2017.sh DATA BACKBONE OUT [NAME]
# DATA: folder with train.csv, Images/ and split.csv; BACKBONE: folder of a pretrained MobileNetV2; NAME: one run only.
set -euo pipefail
data=$1 backbone=hf:$2 out=$3 only=${4:-}

run() {
    local name=$1
    shift
    [[ -z $only || $only == "$name" ]] || return 0
    /usr/bin/time -f "%e s wall, %M KiB peak" .venv/bin/onesheet train "$data" --split "$data/split.csv" \
        --min-films 40 "$@" --out "$out/$name" 2>&1 | tee "$out/$name.log"
}

mkdir -p "$out"
run cnn --model poster-cnn --size 112x80 --epochs 25
run alexnet --model alexnet --epochs 8
run head --model "$backbone" --no-levels --tune head
run full --model "$backbone" --no-levels
