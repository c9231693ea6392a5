from undertone_bench.tuning.pod_setup import PodSetup, all_setups, powers_of_two


def test_powers_of_two_include_the_maximum() -> None:
    assert powers_of_two(1) == [1]
    assert powers_of_two(4) == [1, 2, 4]
    assert powers_of_two(6) == [1, 2, 4, 6]


def test_setups_are_distinct_fit_the_cpus_and_begin_with_the_defaults_of_a_pod() -> None:
    setups = all_setups(precisions=("fp32", "bf16"), cpus=(2, 4), omp_threads=(0, 2))
    assert len(set(setups)) == len(setups)
    assert setups[0] == PodSetup("fp32", 4, calls=4, threads=1, batch_tokens=2048, onednn=True)
    assert all(setup.calls <= setup.cpus and setup.calls * setup.threads <= 2 * setup.cpus for setup in setups)
    assert {setup.threads for setup in setups} == {1, 2, 4}
    assert len({len(setup.features) for setup in setups}) == 1


def test_chosen_calls_beyond_the_cpus_leave_no_setup() -> None:
    assert all_setups(precisions=("fp32",), cpus=(2,), calls=(4,)) == []


def test_a_setup_sets_the_flags_of_the_sidecar_and_the_variables_of_the_model_server() -> None:
    setup = PodSetup("bf16", 4, calls=2, threads=3, batch_tokens=1024, onednn=False, omp_threads=2)
    assert setup.sidecar_flags == ["--model-calls=2", "--batch-tokens=1024", "--auto"]
    assert setup.variables["UNDERTONE_TENSORFLOW_INTRA_OP_PARALLELISM"] == "3"
    assert setup.variables["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert setup.variables["OMP_NUM_THREADS"] == "2"
    assert "OMP_NUM_THREADS" not in PodSetup("fp32", 2, 2, 1).variables
