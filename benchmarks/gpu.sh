#!/bin/bash
# All that is said of GPUs, checked and measured on a machine that has one, in less than ten minutes:
#
#   bash benchmarks/gpu.sh
#   WHEELS=folder RESULTS=file bash benchmarks/gpu.sh
#
# 1. what is missing here; with WHEELS, what lies there is installed first, for this script alone
# 2. the kernels against the loops in PyTorch, and the recordings against what they record: every test in a process of
#    its own, all at once
# 3. benchmarks/speed.py --quick in float32, tf32 and bf16
# 4. cmtr beside shared on two transformers, with random weights
# 5. training steps on planted and, where their data are (GRAPHMTL_DATA), on fdu-mtl and glue
# 6. where the updates' time goes: graphmtl run --profile
#
# It ends with 2 where nothing can be measured, and with 1 where something failed.
# A part that fails or takes too long does not stop the others. RESULTS (benchmarks/results/gpu.md) is written anew; the
# whole output of every part stays in the folder that is named last.

cd "$(dirname "$0")/.." || exit 1
PYTHON=${PYTHON:-python3}
RESULTS=${RESULTS:-benchmarks/results/gpu.md}
KEPT=$(mktemp -d)
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
export GRAPHMTL_RECORD=1  # for cmtr
FAILED=()

say() { echo "[$SECONDS s] $*"; }

# part NAME SECONDS COMMAND...: its output in KEPT/NAME.txt, and its end here where it fails
part() {
    local name=$1 limit=$2
    shift 2
    say "$name"
    timeout -k 5 "$limit" "$@" >"$KEPT/$name.txt" 2>"$KEPT/$name.err"
    local code=$?
    [ $code -eq 0 ] && return
    FAILED+=("$name")
    say "$name: exit code $code (124: not done after $limit seconds)"
    tail -n 3 "$KEPT/$name.err"
}

# what is missing here, in a line; without torch or a GPU nothing can be measured
missing() {
    "$PYTHON" - <<'PYTHON_ENDS'
import sys
from importlib.util import find_spec

needed = "torch triton accelerate datasets huggingface_hub hypothesis jinja2 jsonargparse matplotlib networkx numpy pandas"
needed += " pyarrow pytest rich safetensors scipy sklearn tokenizers torch_geometric torchcrf transformers yaml"
lacking = [name for name in needed.split() if find_spec(name) is None]
measurable = False
if "torch" not in lacking:
    import torch

    measurable = torch.cuda.is_available()
    lacking += [] if measurable else ["a GPU that torch finds"]
print("missing here:", ", ".join(lacking) or "nothing")
sys.exit(0 if measurable else 2)
PYTHON_ENDS
}

if [ -n "$WHEELS" ]; then
    "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --target "$KEPT/site" "$WHEELS"/*.whl
    export PYTHONPATH=$PYTHONPATH:$KEPT/site
fi
missing || exit 2

# one TEST: a line that says whether it passes
one() {
    local output
    if output=$(timeout -k 5 150 "$PYTHON" -m pytest -q --no-header -p no:cacheprovider "$1" 2>&1); then
        echo "equal: $1"
    else
        echo "FAILED: $1"
        tail -n 15 <<<"$output" >&2
    fi
}
export PYTHON
export -f one

say equality
TESTS=(tests/layers/recurrence/test_{loops_triton,checking}.py tests/layers/test_{recordings,devices}.py)
"$PYTHON" -m pytest --collect-only -q "${TESTS[@]}" 2>"$KEPT/equality.err" | grep :: >"$KEPT/tests.txt"
tr '\n' '\0' <"$KEPT/tests.txt" | xargs -0 -n 1 -P "$(nproc)" bash -c 'one "$1"' _ \
    >"$KEPT/equality.txt" 2>>"$KEPT/equality.err"
ALL=$(wc -l <"$KEPT/tests.txt")
EQUAL=$(grep -c '^equal' "$KEPT/equality.txt")
[ "$EQUAL" = "$ALL" ] && [ "$ALL" -gt 0 ] || FAILED+=(equality)
say "equality: $EQUAL of $ALL tests pass"
grep '^FAILED' "$KEPT/equality.txt"

SPEED=("$PYTHON" benchmarks/speed.py --device cuda)
for precision in float32 tf32 bf16; do
    part "speed-$precision" 100 "${SPEED[@]}" --quick --precision $precision --results "$KEPT/speed-$precision.md"
done
part overhead 60 "${SPEED[@]}" --overhead --results "$KEPT/overhead.md"
RUN=("$PYTHON" -m graphmtl.run --overwrite --no-test --epochs 1 --output "$KEPT/run")
part profile-star 60 "${RUN[@]}" --arch star --profile
part profile-complete 60 "${RUN[@]}" --arch complete --profile
SETS=(planted)
for name in fdu-mtl glue; do
    [ -d "${GRAPHMTL_DATA:-/nowhere}/$name" ] && SETS+=("$name")
done
for name in "${SETS[@]}"; do
    part "training-$name" 90 "${SPEED[@]}" --quick --repeats 1 --training "$name" --results "$KEPT/training-$name.md"
done

# a kernel that is not right here, or does not compile: the loops in PyTorch have been measured in its place
grep -h -E '^no (kernels|CUDA graph)' "$KEPT"/*.err | sort -u | grep . && FAILED+=(kernels)

{
    echo "Command: \`bash benchmarks/gpu.sh\`"
    echo
    echo "Equality on this GPU: $EQUAL of $ALL tests pass."
    for name in speed-float32 speed-tf32 speed-bf16 overhead; do
        [ -f "$KEPT/$name.md" ] && echo && cat "$KEPT/$name.md"
    done
    for name in "${SETS[@]}"; do
        [ -f "$KEPT/training-$name.md" ] && echo && sed -n '/^## Training steps/,$p' "$KEPT/training-$name.md"
    done
    for name in profile-star profile-complete; do
        [ -f "$KEPT/$name.txt" ] && printf '\n## %s\n\n```\n' "$name" && sed -n '/ updates: /,/^└/p' "$KEPT/$name.txt" && echo '```'
    done
} >"$RESULTS"

# the short table: what has a bound to keep
echo
grep -h -E '^\| (what|arch|complete|star|shared|cmtr|nn.LSTM)' "$KEPT"/speed-float32.md "$KEPT"/overhead.md 2>/dev/null
[ ${#FAILED[@]} -gt 0 ] && echo "failed: ${FAILED[*]}"
echo "[$SECONDS s] $RESULTS; all output: $KEPT"
[ ${#FAILED[@]} -eq 0 ]
