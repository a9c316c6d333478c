// What a team adds to Winnow: an operator and a model that uses it.
#pragma once
#include "core/graph.h"

// y[b] = sum over pairs i < j of r[p(i, j)] <e[b, i], e[b, j]>;  e [B, F, D], r [F (F - 1) / 2] -> [B].
// The pairs of r stand in the order (0, 1), (0, 2), ..., (1, 2), ... Pan et al. 2018, "Field-weighted factorization
// machines", equation 6. ShapeError: other ranks, r of another length.
winnow::Value field_pairs(winnow::Value e, winnow::Value r, winnow::Loc loc = winnow::Loc::current());
void register_field_pairs();  // before the first graph is compiled

void register_fwfm();  // model.name FwFM, with model.pair_init_std
