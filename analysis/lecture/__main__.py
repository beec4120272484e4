"""The control-as-inference lecture, claim by claim: what it says, what is measured here, what should come out.

Exit codes: 0 when every number with a reference agrees, 1 when one does not, 2 when figures cannot be drawn.
"""

import sys
from importlib.util import find_spec

from rich.console import Console

from analysis.lecture import (
    benefits,
    bridge,
    collapse,
    comparing,
    fine_tuning,
    inference,
    limits,
    mistakes,
    policy_gradient,
    q_learning,
    samples,
)
from analysis.lecture.claims import Args, Claim, table_of
from analysis.rows import finish, parsed
from humansoft.threads import one_thread

GROUPS = (
    *(q_learning, policy_gradient, collapse, samples, bridge, fine_tuning, benefits, limits),
    *(mistakes, inference, comparing),
)


@one_thread()
def main() -> None:
    """Test all claims, show them as a table, and draw the figures where they are wanted."""
    args = parsed(Args, __doc__)
    if args.figures and find_spec("matplotlib") is None:
        print("--figures needs matplotlib: pip install 'humansoft[plots]'", file=sys.stderr)
        raise SystemExit(2)
    console = Console()
    claims: list[Claim] = []
    with Console(stderr=True).status("testing ...") as status:
        for group in GROUPS:
            for claim in group.claims(args):
                claims.append(claim)
                status.update(f"{claim.number} done, testing on ...")
    # Where there is no terminal, rich assumes 80 columns and would cut the names.
    Console(width=max(console.width, 150)).print(table_of(claims))
    failed = [claim.number for claim in claims if not claim.holds]
    named = f" Not: {', '.join(failed)}." if failed else ""
    console.print(f"{len(claims) - len(failed)} of {len(claims)} claims hold.{named}")
    if args.figures:
        from analysis.lecture.figures import draw_all  # matplotlib is an extra

        for file in draw_all(args.figures):
            console.print(f"drew {file}", highlight=False)
    finish([row for claim in claims for row in claim.as_dicts()], args.json)


if __name__ == "__main__":
    main()
