import { check, LloydError } from '../gpu/errors.ts';
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

/** Widths by a pattern of names, before the network that has them is read. */
export type LayerPlan = readonly { pattern: string; width: number }[];

/**
 * `--layers name=bits,...`, where a name may hold `*` for any letters.
 *
 * @throws LloydError for an entry without bits, or with bits that the method does not have
 */
export function layerPlan(value: OptionValue, method: 'kmeans' | 'linear'): LayerPlan {
  const lowest = method === 'linear' ? 2 : 1;
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
    const allowed = `from ${lowest} to 8${method === 'kmeans' ? ', or 32 for fp32' : ''}`;
    check(isWidth || (method === 'kmeans' && width === 32), `--layers takes widths ${allowed}`, entry);
    return { pattern, width };
  });
}

/**
 * The plan by layer.
 *
 * @param names the model's layers
 * @throws LloydError for a pattern that no layer matches
 */
export function layerBits(layers: LayerPlan, names: readonly string[]): Record<string, number> {
  const plan: Record<string, number> = {};
  for (const { pattern, width } of layers) {
    const expression = new RegExp(`^${pattern.split('*').map(escapeRegExp).join('.*')}$`);
    const matched = names.filter((name) => expression.test(name));
    check(matched.length > 0, `--layers may name only the model's layers: ${names.join(', ')}`, pattern);
    for (const name of matched) plan[name] = width;
  }
  return plan;
}

function escapeRegExp(literal: string): string {
  return literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
