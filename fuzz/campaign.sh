#!/usr/bin/env bash
# Every fuzz target under libFuzzer, the kernels built with coverage and AddressSanitizer.
#
#   fuzz/campaign.sh [SECONDS a target = 600] [TARGET...]
#
# Needs clang with its compiler-rt (Debian: apt-get install clang-14 libclang-rt-14-dev llvm-14) and CC naming it;
# works in FUZZ_DIR (build/fuzz), where the environment, the built copy, grown corpora, logs and failing inputs stay.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(chunks index meta postings wire promql)
export CC=${CC:-clang-14}
dir=$(realpath -m "${FUZZ_DIR:-build/fuzz}")
venv=$dir/venv
copy=$dir/source
mkdir -p "$dir"
if [ ! -e "$venv/.installed" ]; then
    ${PYTHON:-python3} -m venv "$venv"
    "$venv/bin/pip" install -q "setuptools>=77" "cython>=3.2" "numpy>=2.0" atheris
    "$venv/bin/python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        | "$venv/bin/pip" install -q -r /dev/stdin
    touch "$venv/.installed"
fi
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard -- setup.py pyproject.toml README.md pythanos fuzz \
    | xargs -0 cp --parents --update -t "$copy"
(cd "$copy" && LDSHARED="$CC -shared" PYTHANOS_SANITIZE=fuzzer-no-link,address "$venv/bin/python" setup.py -q build_ext --inplace)

runtime=$("$venv/bin/python" -c 'import atheris; print(atheris.path())')/asan_with_fuzzer.so
failed=0
for target in "${targets[@]}"; do
    corpus=$dir/corpus/$target
    found=$dir/found/$target/
    mkdir -p "$corpus" "$found"
    arguments=("$corpus" "$copy/fuzz/corpus/$target" "-max_total_time=$seconds" -max_len=4096 -print_final_stats=1
        "-artifact_prefix=$found")
    [ "$target" = promql ] && arguments=(--atheris "${arguments[@]}")
    echo "== $target, $seconds s"
    LD_PRELOAD=$runtime ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 PYTHONPATH=$copy \
        "$venv/bin/python" "$copy/fuzz/fuzz_$target.py" "${arguments[@]}" > "$dir/$target.log" 2>&1 \
        || { failed=1; echo "failed: $found, $dir/$target.log"; }
    grep -a 'stat::number_of\|^Done' "$dir/$target.log" || true
done
exit $failed
