import type { GraphModel } from '../graph/graph.ts';
import { dequantized, hasCodeOperators, PER_CHANNEL } from '../lower/import-qoperator.ts';
import { atLeastOpset } from './raise-opset.ts';

/** {@link dequantized} of a network of any opset. */
export const qdqOfOperators = (model: GraphModel): GraphModel =>
  hasCodeOperators(model) ? dequantized(atLeastOpset(model, PER_CHANNEL)) : model;
