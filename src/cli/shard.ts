import { check } from '../gpu/errors.ts';
import type { OptionValue } from './command.ts';
import { text } from './options.ts';

/** Part `index` of `of`, counted from 1, of `total` test images, from `first` on. */
export interface Shard {
  index: number;
  of: number;
  first: number;
  total: number;
}

/** `--shard i/n`. */
export function readShard(value: OptionValue): Pick<Shard, 'index' | 'of'> | undefined {
  const given = text(value);
  if (given === undefined) return undefined;
  const match = /^(\d{1,9})\/(\d{1,9})$/.exec(given);
  const [index, of] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  check(
    index >= 1 && index <= of,
    '--shard must be i/n, the i-th of n parts',
    given,
    match && of >= 1 ? `choose from 1/${of} to ${of}/${of}` : 'for example --shard 1/2',
  );
  return { index, of };
}

/** Which images a part has; parts of images that don't divide evenly differ by one. */
export function shardRange({ index, of, total }: Omit<Shard, 'first'>): { first: number; count: number } {
  const end = (part: number) => Math.floor((part * total) / of);
  return { first: end(index - 1), count: end(index) - end(index - 1) };
}

/** The part of so many images; refuses parts that would have none. */
export function shardOf({ index, of }: Pick<Shard, 'index' | 'of'>, total: number): Shard {
  check(
    of <= total,
    '--shard must not make more parts than there are images',
    `${index}/${of} of ${total} image${total === 1 ? '' : 's'}`,
    'take fewer parts, or more --images',
  );
  return { index, of, first: shardRange({ index, of, total }).first, total };
}
