"""Claims: sentences that a study's runs are held against. A new one is a class in the file of its subject.

`pruning` has what pruning does to robust accuracy, `domains` what training domains do, `decks` what decks do,
`sizes` what bytes and widths do, and `calibration` what becomes of confidence. Its name goes into
`base/catalog.py`. `judging` tests the comparisons that a claim yields; `statistics` says how.
"""

from winninghand.base import catalog
from winninghand.base.registry import Registry
from winninghand.results.claims.claim import Claim
from winninghand.results.claims.comparison import Comparison, Missing
from winninghand.results.claims.groups import Group, Groups, compared, robust

CLAIMS: Registry[type[Claim]] = catalog.CLAIMS

__all__ = ["CLAIMS", "Claim", "Comparison", "Group", "Groups", "Missing", "compared", "robust"]
