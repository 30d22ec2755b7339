"""Two processes on parts of a batch against one process on the whole."""

import distributed_worker
import pytest
import torch
import torch.multiprocessing


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    torch.multiprocessing.spawn(
        distributed_worker.run, args=(str(folder / "init"), str(folder / "out")), nprocs=2, join=True
    )
    return [torch.load(folder / f"out.{rank}", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("split", ["12+12", "9+15"])
@pytest.mark.parametrize("name", list(distributed_worker.losses()))
def test_two_processes_reach_the_parameters_of_one(two_processes, name, split):
    alone = distributed_worker.train(name, slice(None), distributed=False)
    for rank in range(2):
        for together, expected in zip(two_processes[rank][f"{name} {split}"], alone, strict=True):
            torch.testing.assert_close(together, expected, rtol=1e-6, atol=1e-6)


def test_gather_joins_in_rank_order_and_sums_gradients(two_processes):
    weights = torch.arange(15.0).reshape(5, 3)
    for rank, result in enumerate(two_processes):
        joined, ids, grad = result["joined"]
        assert torch.equal(joined, torch.tensor([0.0, 0, 1, 1, 1])[:, None].expand(5, 3))
        assert torch.equal(ids - 2**40, torch.tensor([0, 1, 10, 11, 12]))
        assert torch.equal(grad, 3 * (weights[:2] if rank == 0 else weights[2:]))


def test_processes_that_join_no_rows_share_the_margins_of_all_pairs(two_processes):
    (first,), (second,) = (result["histograms"] for result in two_processes)
    assert torch.equal(first, second)
    # Process 0 has one positive pair (0.6), process 1 three (0.6, 0, 0.8); each pair counts for either end.
    positives = {round(-1 + 0.001 * at, 3): int(first[0, 0, at]) for at in first[0, 0].nonzero().flatten().tolist()}
    assert positives == {0.0: 2, 0.6: 4, 0.8: 2}
    assert int(first[1].sum()) == 4
