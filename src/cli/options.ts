import { check, LloydError } from '../gpu/errors.ts';
import type { OptionValue } from './command.ts';

/** An option's text; numbers that were meant as names (`--out 2`) come back as they were typed. */
export function text(value: OptionValue): string | undefined {
  return value === undefined || typeof value === 'boolean' ? undefined : String(value);
}

/** A whole number of at least `lowest`. */
export function integer(flag: string, value: OptionValue, lowest = 1): number | undefined {
  if (value === undefined) return undefined;
  const number = typeof value === 'number' ? value : Number(value);
  check(
    value !== '' && value !== true && Number.isInteger(number) && number >= lowest,
    `${flag} must be an integer of at least ${lowest}`,
    value,
  );
  return number;
}

/** `--images N|all`: a count, Infinity for all, undefined where the time budget decides. */
export function imageCount(value: OptionValue): number | undefined {
  if (value === 'all') return Number.POSITIVE_INFINITY;
  if (typeof value === 'string') throw new LloydError("--images must be a positive integer or 'all'", value);
  return integer('--images', value);
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

/**
 * `--layers name=bits,...`, where a name may hold `*` for any letters.
 *
 * @param names the model's layers
 * @throws LloydError for an entry without bits, or a pattern that no layer matches
 */
export function layerBits(value: OptionValue, names: readonly string[]): Record<string, number> {
  const plan: Record<string, number> = {};
  for (const entry of list(value) ?? []) {
    const [pattern, bits, ...more] = entry.split('=');
    const width = Number(bits);
    check(
      pattern && bits && more.length === 0 && Number.isInteger(width),
      '--layers must be a list of name=bits',
      entry,
      "for example --layers 'backbone.conv0=8,classifier=8'",
    );
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
