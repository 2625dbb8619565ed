import { check, LloydError } from '../gpu/errors.ts';
import { sizeOf } from '../graph/ops/tensors.ts';
import type { GraphBuilder, Value } from './graph-builder.ts';

/** A TensorFlow node as tfjs' executor keeps it (tfjs-converter 4.22). */
export interface Node {
  name: string;
  op: string;
  inputNames: string[];
  inputs: Node[];
  children: Node[];
  attrParams: Record<string, { value?: unknown } | undefined>;
  rawAttrs?: Record<
    string,
    { i?: string | number; f?: number; list?: { i?: (string | number)[] }; s?: unknown } | undefined
  >;
}

/** A node that is being read: its inputs as our values, its attributes. */
export interface Reading {
  readonly b: GraphBuilder;
  readonly node: Node;
  readonly name: string;
  /** Whether data are NCHW. */
  readonly channelsFirst: boolean;
  has(index: number): boolean;
  /** A value by TensorFlow's reference to it: `node` or `node:1`. */
  lookup(reference: string, node: Node): Value;
  input(index: number): Value;
  inputs(start: number, count: number): Value[];
  attribute<T>(key: string, fallback: T): T;
  /** Numbers that must not depend on what the network is given. */
  numbers(index: number, what: string): number[];
  number(index: number, what: string): number;
}

/** What a node becomes: a value for each of its outputs. */
export type Write = (reading: Reading) => Value | Value[];

export function openReading(
  b: GraphBuilder,
  node: Node,
  lookup: (reference: string, node: Node) => Value,
): Reading {
  const { name, attrParams, inputNames } = node;
  const attribute = <T>(key: string, fallback: T) => (attrParams[key]?.value ?? fallback) as T;
  // tfjs leaves the format of pools and norms unread.
  const format = attribute<string | null>('dataFormat', null) ?? rawText(node, 'data_format') ?? 'NHWC';
  const input = (index: number): Value => {
    check(index < inputNames.length, `it must have an input ${index}`, `${inputNames.length} inputs`);
    return lookup(inputNames[index], node.inputs[index]);
  };
  const numbers = (index: number, what: string): number[] => {
    const value = input(index);
    const known = b.known(value);
    check(known, `its ${what} must be constant`, inputNames[index], 'freeze the model');
    return known;
  };
  return {
    ...{ b, node, name, attribute, input, numbers, lookup },
    channelsFirst: /^nc/i.test(format),
    has: (index) => index < inputNames.length,
    inputs: (start, count) => Array.from({ length: count }, (_, i) => input(start + i)),
    number(index, what) {
      const list = numbers(index, what);
      check(list.length === 1, `its ${what} must be one number`, list);
      return list[0];
    },
  };
}

function rawText(node: Node, key: string): string | null {
  const text = node.rawAttrs?.[key]?.s;
  if (typeof text === 'string') return atob(text);
  return text ? String.fromCharCode(...(text as Uint8Array)) : null;
}

/** A float that tfjs's own table of attributes leaves out for some operations. */
export function rawFloat(node: Node, key: string): number | null {
  return node.rawAttrs?.[key]?.f ?? null;
}

/** An integer that tfjs's own table of attributes leaves out. */
export function rawInteger(node: Node, key: string): number | null {
  const value = node.rawAttrs?.[key]?.i;
  return value === undefined ? null : Number(value);
}

/** Values of one dtype, as tfjs makes them: float if any is, else int32 if any is. */
export function ofOneType({ b, name }: Reading, values: readonly Value[]): Value[] {
  const ranked = ['float32', 'int64', 'int32', 'bool'] as const;
  const dtype = ranked.find((own) => values.some((value) => value.dtype === own))!;
  const wide = dtype === 'int64' ? 'int32' : dtype;
  return values.map((value, i) => b.cast(`${name}/${i}`, value, wide));
}

export const float = ({ b, name }: Reading, value: Value) => b.cast(`${name}/float`, value, 'float32');

/** Whether a value is one constant number, and which. */
export function scalarOf({ b }: Reading, value: Value): number | null {
  const known = b.known(value);
  return known?.length === 1 && sizeOf(value.dims!) === 1 ? known[0] : null;
}

/** Spatial sizes of a list that has batch and channels, too. */
export function spatialOf(reading: Reading, key: string, fallback?: readonly number[]): number[] {
  const list = reading.attribute<readonly number[] | undefined>(key, fallback);
  check(
    Array.isArray(list) && list.length >= 3 && list.every((size) => typeof size === 'number'),
    `its ${key} must have sizes for batch, space and channels`,
    list,
  );
  const channel = reading.channelsFirst ? 1 : list.length - 1;
  check(list[0] === 1 && list[channel] === 1, `its ${key} must be 1 over batch and channels`, list);
  return list.filter((_, axis) => axis !== 0 && axis !== channel);
}

/** `same`, `valid`, or explicit paddings in ONNX's order. */
export function paddingOf(reading: Reading): string | number[] {
  const padding = reading.attribute<string | undefined>('pad', undefined);
  if (padding !== 'explicit') {
    const known = padding === 'same' || padding === 'valid';
    check(known, 'its padding must be SAME, VALID or EXPLICIT', padding);
    return padding;
  }
  const raw = reading.node.rawAttrs?.explicit_paddings?.list?.i?.map(Number);
  const pads = reading.attribute<number[] | undefined>('explicitPaddings', raw);
  const whole = Array.isArray(pads) && pads.length >= 6 && pads.every((size) => Number.isInteger(size));
  check(whole, 'its explicit paddings must be two sizes for every dimension', pads);
  const pairs = Array.from({ length: pads.length / 2 }, (_, i) => pads.slice(2 * i, 2 * i + 2));
  const channel = reading.channelsFirst ? 1 : pairs.length - 1;
  const spatial = pairs.filter((_, axis) => axis !== 0 && axis !== channel);
  return [0, 1].flatMap((side) => spatial.map((pair) => pair[side]));
}

/** Refuses a node for a reason that needs no value. */
export function refuse(rule: string, received?: unknown): never {
  throw new LloydError(rule, received);
}
