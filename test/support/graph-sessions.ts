// Sessions of the graphs that the readers make. Until sessions take them, their tests wait; then this file says
// `export const sessions = describe` and hands on the real functions.
import { describe } from 'vitest';
import type { Runtime } from '../../src/gpu/runtime.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { quantizeModel as quantize } from '../../src/model/precision.ts';
import type { compile as compileModel } from '../../src/model/session.ts';

type Compiled = Awaited<ReturnType<typeof compileModel>>;
type Quantized = Awaited<ReturnType<typeof quantize>>;

export const sessions = describe.skip;

const waiting = (): never => {
  throw new Error('sessions do not take graphs of any network yet');
};

export const compile: (
  runtime: Runtime,
  model: GraphModel | Quantized,
  options?: Parameters<typeof compileModel>[2],
) => Promise<Compiled> = waiting;

export const quantizeModel: (
  runtime: Runtime,
  model: GraphModel,
  options: Parameters<typeof quantize>[2],
) => Promise<Quantized> = waiting;
