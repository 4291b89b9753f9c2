from __future__ import annotations
from dataclasses import dataclass
@dataclass(frozen=True, slots=True)
class Fused:
    id: int
    score: float
    lexical_rank: int | None
    lexical_score: float | None
    vector_rank: int | None
    vector_score: float | None
def fuse(lex, vec, k=10, w=0.5):
    L={i:(r,s) for r,(i,s) in enumerate(lex,1)}; V={i:(r,s) for r,(i,s) in enumerate(vec,1)}
    out=[]
    for i in L.keys()|V.keys():
        a=L.get(i,(None,None)); b=V.get(i,(None,None))
        sc=(1/(k+a[0]) if a[0] else 0)+(w/(k+b[0]) if b[0] else 0)
        out.append(Fused(i,sc,a[0],a[1],b[0],b[1]))
    return sorted(out,key=lambda f:(-f.score,f.id))
