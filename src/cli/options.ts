import { check, LloydError } from '../gpu/errors.ts';
import type { ShapeOptions } from '../graph/graph.ts';
import type { QuantizedOnnxOptions } from '../onnx/qdq-export.ts';
import type { OptionValue } from './command.ts';

/** An option's text. */
export function text(value: OptionValue): string | undefined {
  return value === undefined || typeof value === 'boolean' ? undefined : String(value);
}

/** A number as it is typed: `20`, `0.5`, `1e-3`; undefined for anything else. */
export function parseNumber(value: OptionValue): number | undefined {
  if (typeof value === 'number') return value;
  const isNumber = typeof value === 'string' && /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(value);
  return isNumber ? Number(value) : undefined;
}

/** A whole number of at least `lowest` and at most `highest`. */
export function integer(
  flag: string,
  value: OptionValue,
  lowest = 1,
  highest = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (value === undefined) return undefined;
  const number = parseNumber(value);
  check(
    number !== undefined && Number.isInteger(number) && number >= lowest,
    `${flag} must be an integer of at least ${lowest}`,
    number ?? value,
  );
  check(number <= highest, `${flag} must be at most ${highest}`, number);
  return number;
}

/** CIFAR-10 has 50,000 images to train on, and 10,000 to test with. */
export const TRAINING_IMAGES = 50_000;
export const TEST_IMAGES = 10_000;

/** What generators are seeded with: 32 bits. */
export const seed = (value: OptionValue) => integer('--seed', value, 0, 2 ** 32 - 1);

/** `--bits`, by what the method can do. */
export function bitWidth(method: 'kmeans' | 'linear', value: OptionValue): number | undefined {
  return integer('--bits', value, method === 'linear' ? 2 : 1, 8);
}

/** `--images N|all`: a count, Infinity for all of `most`, undefined where the time budget decides. */
export function imageCount(value: OptionValue, most = TEST_IMAGES, flag = '--images'): number | undefined {
  if (value === 'all') return Number.POSITIVE_INFINITY;
  if (typeof value === 'string' && parseNumber(value) === undefined)
    throw new LloydError(`${flag} must be a positive integer or 'all'`, value);
  return integer(flag, value, 1, most);
}

/** A list of numbers. */
export function numbers(flag: string, value: OptionValue): number[] | undefined {
  return list(value)?.map((entry) => {
    const number = parseNumber(entry);
    check(number !== undefined && Number.isFinite(number), `${flag} must be a list of numbers`, entry);
    return number;
  });
}

/** One of a list. */
export function choice<T extends string>(
  flag: string,
  value: OptionValue,
  allowed: readonly T[],
): T | undefined {
  if (value === undefined) return undefined;
  check(allowed.includes(String(value) as T), `${flag} must be one of ${allowed.join(', ')}`, value);
  return String(value) as T;
}

/** A comma-separated list. */
export function list(value: OptionValue): string[] | undefined {
  return text(value)
    ?.split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}

const CODE_TYPES = ['int8', 'uint8'] as const;

/** `--activation-type` and `--weight-type`: which integers an ONNX file holds. */
export function codeTypes(options: Readonly<Record<string, OptionValue>>): QuantizedOnnxOptions {
  return {
    activationType: choice('--activation-type', options.activationType, CODE_TYPES),
    weightType: choice('--weight-type', options.weightType, CODE_TYPES),
  };
}

/** @throws LloydError for types of codes where the file that is written has none */
export function checkCodeTypes({ activationType, weightType }: QuantizedOnnxOptions, format: string): void {
  const given = activationType ? '--activation-type' : weightType ? '--weight-type' : undefined;
  check(
    !given || format === 'qdq' || format === 'qoperator',
    `${given} is of ONNX files in the formats qdq and qoperator`,
    format,
    'leave it out',
  );
}

/** Widths by a pattern of names, before the network that has them is read. */
export type LayerPlan = readonly { pattern: string; width: number }[];

/**
 * `--layers name=bits,...`, where a name may hold `*` for any letters.
 *
 * @throws LloydError for an entry without bits, or with bits that the method does not have
 */
export function layerPlan(value: OptionValue, method: 'kmeans' | 'linear'): LayerPlan {
  const lowest = method === 'linear' ? 2 : 1;
  const allowed = `from ${lowest} to 8, or 32 for fp32`;
  return (list(value) ?? []).map((entry) => {
    const [pattern, bits, ...more] = entry.split('=');
    const width = parseNumber(bits);
    check(
      pattern && width !== undefined && more.length === 0,
      '--layers must be a list of name=bits',
      entry,
      "for example --layers 'backbone.conv0=8,classifier=8'",
    );
    const isWidth = Number.isInteger(width) && width >= lowest && width <= 8;
    check(isWidth || width === 32, `--layers takes widths ${allowed}`, entry);
    return { pattern, width };
  });
}

/** A layer that has weights: what a plan names it by. */
export interface PlannedLayer {
  name: string;
  /** ONNX's operator: Conv, Gemm, MatMul. */
  op: string;
}

/**
 * The plan by layer: by its name where a pattern matches one, else by its operator.
 *
 * @param given the model's layers
 * @param excluded patterns of those that stay fp32, whatever the plan says
 * @throws LloydError for a pattern that no layer matches
 */
export function layerBits(
  layers: LayerPlan,
  given: readonly PlannedLayer[],
  excluded: readonly string[] = [],
): Record<string, number> {
  const plan: Record<string, number> = {};
  const assign = (flag: string, pattern: string, width: number) => {
    const expression = new RegExp(`^${pattern.split('*').map(escapeRegExp).join('.*')}$`);
    const named = given.filter(({ name }) => expression.test(name));
    const matched = named.length > 0 ? named : given.filter(({ op }) => op === pattern);
    const names = given.map(({ name }) => name).join(', ');
    const operators = [...new Set(given.map(({ op }) => op))].join(', ');
    check(
      matched.length > 0,
      `${flag} may name only the model's layers: ${names}; or their operators: ${operators}`,
      pattern,
    );
    for (const { name } of matched) plan[name] = width;
  };
  for (const { pattern, width } of layers) assign('--layers', pattern, width);
  for (const pattern of excluded) assign('--exclude', pattern, 32);
  return plan;
}

/**
 * `--shape symbol=n,...`: sizes of an input's symbols, and whole shapes of inputs (`image=1x3x224x224`).
 *
 * @throws LloydError for anything else
 */
export function shapeOptions(value: OptionValue): ShapeOptions {
  const shapes: Record<string, number | number[]> = {};
  for (const entry of list(value) ?? []) {
    // A symbol's name may hold '=' itself, sizes don't.
    const [, name, sizes] = /^(.+)=(\d+(?:x\d+)*)$/.exec(entry) ?? [];
    check(
      name,
      '--shape must be a list of symbol=size or input=AxBxC',
      entry,
      'for example --shape batch=1,width=320',
    );
    check(!Object.hasOwn(shapes, name), '--shape may give a size once', entry);
    const numbers = sizes.split('x').map(Number);
    shapes[name] = numbers.length === 1 ? numbers[0] : numbers;
  }
  return shapes;
}

/**
 * `--constant input=n,...`: what inputs are in every run.
 *
 * @throws LloydError for anything else
 */
export function constantOptions(value: OptionValue): Record<string, number> {
  const constants: Record<string, number> = {};
  for (const entry of list(value) ?? []) {
    const [, name, number] = /^(.+)=([^=]+)$/.exec(entry) ?? [];
    const given = Number(number);
    check(
      name && number.trim() !== '' && Number.isFinite(given),
      '--constant must be a list of input=number',
      entry,
      'for example --constant sr=16000',
    );
    check(!Object.hasOwn(constants, name), '--constant may name an input once', entry);
    constants[name] = given;
  }
  return constants;
}

function escapeRegExp(literal: string): string {
  return literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
