import { check } from '../gpu/errors.ts';
import type { Dim, Graph, GraphModel, ShapeOptions, ValueInfo } from './graph.ts';
import { MOST_ELEMENTS } from './ops/node.ts';
import type { OnnxDType, Value } from './ops/value.ts';

/** An input or output whose shape is known. */
export interface Port {
  name: string;
  dtype: OnnxDType;
  shape: readonly number[];
}

/** What a graph leaves open until it is read for use. */
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
    const shape = givenSizes(input, shapes).map((dim, i) => {
      const size = typeof dim === 'number' ? dim : ((i === 0 ? batch : undefined) ?? assume);
      if (size === undefined) missing.push(`${dim} of ${shapeText(input)}`);
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

/**
 * An input's shape with the sizes that are given for it.
 *
 * @throws LloydError for sizes that are none, or that contradict it
 */
export function givenSizes({ name, shape }: ValueInfo, shapes: ShapeOptions): Dim[] {
  const of = (key: string) => (Object.hasOwn(shapes, key) ? shapes[key] : undefined);
  const own = of(name);
  const given = Array.isArray(own) ? own : null;
  check(
    !given || given.length === shape.length,
    `${name} has ${shape.length} dimensions: [${shape.join(', ')}]`,
    given,
    'give each of them a size',
  );
  return shape.map((dim, axis) => {
    const symbol = typeof dim === 'string' ? of(dim) : undefined;
    const size = given ? given[axis] : ((Array.isArray(symbol) ? undefined : symbol) ?? dim);
    if (size === dim) return dim;
    check(
      Number.isInteger(size) && size >= 0 && size <= MOST_ELEMENTS,
      `${name}: a size must be an integer of 0 or more`,
      size,
      'pass shapes: { symbol: size } or { input: [sizes] }',
    );
    check(
      typeof dim === 'string',
      `${name}: dimension ${axis} is ${dim}`,
      size,
      'give sizes only for its symbols',
    );
    return size;
  });
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
