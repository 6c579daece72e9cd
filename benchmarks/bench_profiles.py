"""What each block of a profile adds on a log: a linear probe of who buys in which category, with intervals.

    python -m benchmarks.bench_profiles --home HOME --dataset cj --until 2017-12-29 --horizon 28

Prints what `python -m core blocks` computes: blocks alone and together, the network that learned nothing, and histories in random
order, the blocks weighed as an earlier cutoff chose; and what the training cost.
"""

import argparse
import resource
import time
from datetime import datetime, timedelta
from pathlib import Path

from core.pipeline.judging import judge_blocks
from core.store import Home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--until", required=True, help="read the log as if it ended here; judged one horizon before")
    parser.add_argument("--horizon", type=float, default=28, help="days")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    home = Home(arguments.home)
    dataset, horizon = home.dataset(arguments.dataset), timedelta(days=arguments.horizon)
    began = time.process_time()
    told = judge_blocks(home, dataset, cutoff=datetime.fromisoformat(arguments.until), horizon=horizon, seed=arguments.seed)
    card = dataset.run_manifest("blocks", told["run"])["sequence"]
    print(f"trained on {card['acts']:,} acts ({card['left_out']:,} older left out): {card['cpu_seconds']:.0f} CPU s")
    for epoch, losses in enumerate(card["losses"], 1):
        print(f"  pass {epoch}: " + ", ".join(f"{name} {value:.3f}" for name, value in losses.items()))
    print("weights chosen on the window before: " + ", ".join(f"{name} {weight:g}" for name, weight in told["weights"].items()))
    print(f"  AUC there {told['weights_auc']:.4f}; best at equal weights {' + '.join(told['best_subset'])} {told['best_subset_auc']:.4f}")
    for row in told["rows"]:
        auc = f"AUC {row['auc']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
        gain = f"{row['gain']:+.4f} [{row['gain_low']:+.4f}, {row['gain_high']:+.4f}]"
        behind = f"{row['behind']:+.4f} [{row['behind_low']:+.4f}, {row['behind_high']:+.4f}]"
        print(f"{row['blocks']:34s} {row['weighing']:16s} {auc}  against counts {gain}  weighed against this {behind}")
    if anyone := told["anyone"]:
        gain = f"{anyone['gain']:+.4f} [{anyone['gain_low']:+.4f}, {anyone['gain_high']:+.4f}]"
        print(f"who acts at all: counts {anyone['counts']:.4f}, weighed {anyone['auc']:.4f}, {gain}; weights {anyone['weights']}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"all: {time.process_time() - began:.0f} CPU s, peak memory {memory:,.0f} MB")


if __name__ == "__main__":
    main()
