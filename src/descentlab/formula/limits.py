"""How large a formula may be. Everything here is checked before SymPy builds anything."""

from __future__ import annotations

MOST_CHARACTERS = 4_000
MOST_NODES = 2_000
# Levels of the formula's tree. SymPy recurses through several Python frames a level; at about
# 200 levels differentiating meets Python's limit of 1,000 frames, at 60 there is room to spare.
MOST_NESTING = 60
MOST_CALL_NESTING = 15
# Open brackets at once: ((((x)))) makes no tree, so this only bounds the reading of it. More
# than MOST_NESTING, because the echo of a formula may group with brackets the text had not.
MOST_BRACKETS = 100
MOST_NAME_CHARACTERS = 40

LARGEST_EXPONENT = 1_000
# Powers inside u of u^(a/(b + c)): see _check_split in convert.py.
LARGEST_SPLIT_EXPONENT = 12
# Numerator or denominator of an exact exponent: 0.3333333333333333 has 54 bits.
MOST_EXPONENT_BITS = 64
MOST_LITERAL_DIGITS = 300
# Doubles end near 1.8e308; a literal beyond that could only ever be inf or 0.
LARGEST_DECIMAL_EXPONENT = 307
# Numerator or denominator of any exact number that arises, about 1,200 digits. Python prints
# no integer of more than 4,300 digits, and SymPy's arithmetic on these takes microseconds.
MOST_BITS = 4_096
# Roots make SymPy look for factors of the number under them: measured 3 ms for numerator and
# denominator of 64 bits, 10 ms for 512, 60 ms for 1,024, 0.2-0.8 s for 2,048. All roots of one
# formula share an allowance, to which numbers of up to 32 bits do not count.
MOST_ROOT_BITS = 512
FREE_ROOT_BITS = 32
MOST_ROOT_BITS_TOGETHER = 1_024
