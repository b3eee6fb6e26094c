"""Hold plain prose without reasoning: on it a residual stream is measured, and what steering does to all else."""

from __future__ import annotations

NEUTRAL = (
    "The harbour lies on the eastern side of the island, sheltered from the wind by a long wall of grey stone. "
    "Fishing boats leave before dawn and come back in the early afternoon, when the market by the quay opens for "
    "two hours.",
    "Bread dough rises faster in a warm kitchen. Bakers who work in winter often leave the bowl beside the oven, "
    "covered with a damp cloth, and shape the loaves once the dough has doubled in size.",
    "The library moved into its new building in the spring of 1974. It holds about forty thousand books, most of "
    "them on the history of the region, and a small collection of maps drawn by hand in the eighteenth century.",
    "Swallows return to the valley in April. They build their nests of mud under the roofs of barns and raise two "
    "broods before they gather on the wires in September and leave for the south.",
    "The railway was built to carry slate from the quarries to the coast. Passengers were an afterthought: for "
    "the first ten years they travelled on open benches behind the last wagon and paid a penny for each mile.",
    "A good pair of leather boots can last for twenty years if they are cleaned after every walk, dried slowly "
    "away from the fire, and treated with wax at the beginning of each winter.",
)
