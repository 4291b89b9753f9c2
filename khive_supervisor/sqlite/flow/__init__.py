"""How tasks come to their turn: what they wait for, who must agree, and what they are a part of."""
