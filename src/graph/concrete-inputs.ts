import { check } from '../gpu/errors.ts';
import type { Dim, Graph, GraphModel, ShapeOptions, ValueInfo } from './graph.ts';
import type { OnnxDType, Value } from './ops/value.ts';

/** An input or output whose shape is known. */
export interface Port {
  name: string;
  dtype: OnnxDType;
  shape: readonly number[];
}

/** How {@link concreteGraph} reads a graph. */
export interface ConcreteOptions {
  shapes?: ShapeOptions;
  /** What the first dimension of an input is where it is a symbol without a value. */
  batch?: number;
  /** What every other symbol without a value is, where only the graph's structure is asked for. */
  assume?: number;
}

/** The inputs with every symbol a number. */
export function concreteInputs(
  { name, inputs }: Graph,
  { shapes = {}, batch, assume }: ConcreteOptions,
): Port[] {
  const known = new Set(
    inputs.flatMap((input) => [input.name, ...input.shape.filter((d) => typeof d === 'string')]),
  );
  for (const key of Object.keys(shapes)) {
    check(known.has(key), `${name}: shapes may name inputs and their symbols: ${[...known].join(', ')}`, key);
  }
  const missing: string[] = [];
  const ports = inputs.map((input): Port => {
    const given = shapes[input.name];
    const own = Array.isArray(given) ? given : null;
    check(
      own === null || own.length === input.shape.length,
      `${input.name}: its shape must have ${input.shape.length} sizes: ${shapeText(input)}`,
      own,
    );
    const shape = input.shape.map((dim, i) => {
      const size = own ? own[i] : (sizeOfDim(dim, i, shapes, batch) ?? assume);
      if (size === undefined) missing.push(`${String(dim)} of ${shapeText(input)}`);
      else {
        check(
          Number.isInteger(size) && size >= 0,
          `${input.name}: a size must be an integer of 0 or more`,
          size,
        );
        check(
          typeof dim === 'string' || dim === size,
          `${input.name} has the shape ${shapeText(input)}`,
          own,
          'give sizes only for its symbols',
        );
      }
      return size ?? 0;
    });
    return { name: input.name, dtype: input.dtype, shape };
  });
  check(
    missing.length === 0,
    `${name}: every symbol of an input's shape must have a value`,
    `none for ${[...new Set(missing)].join(', ')}`,
    'pass shapes: { symbol: size } or { input: [sizes] }; on the command line --shape symbol=size',
  );
  return ports;
}

function sizeOfDim(dim: Dim, at: number, shapes: ShapeOptions, batch?: number): number | undefined {
  if (typeof dim === 'number') return dim;
  const given = shapes[dim];
  return typeof given === 'number' ? given : at === 0 ? batch : undefined;
}

/** A shape as people write it. */
export const shapeText = ({ name, shape }: ValueInfo) => `${name} [${shape.join(', ')}]`;

/** Constants, and inputs whose shapes are known: all of them where any sizes are given. */
export function knownValues({ graph, parameters }: GraphModel, options: ConcreteOptions): Map<string, Value> {
  const values = new Map<string, Value>(parameters);
  const isOpen = ({ shape }: ValueInfo) => shape.some((dim) => typeof dim === 'string');
  const given = [options.shapes, options.batch, options.assume].some((option) => option !== undefined);
  const inputs = given ? graph.inputs : graph.inputs.filter((input) => !isOpen(input));
  for (const { name, dtype, shape } of concreteInputs({ ...graph, inputs }, options)) {
    values.set(name, { dtype, dims: shape });
  }
  return values;
}
