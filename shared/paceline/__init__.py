"""Paceline: training projects that know how long they take.

The modules are the interface; each opens with what it promises. `import paceline` loads none of them, and no
machine-learning framework.
"""

__version__ = "0.1.0"
