import type { TuneOptions } from '../run/tune.ts';
import type { Context } from './command.ts';
import { integer } from './options.ts';
import { significant } from './table.ts';

/** `--tune <ms>` as `compile` takes it, with a line on stderr for what it finds; undefined where it was not asked for. */
export function tuning({ options, note, signal }: Context): TuneOptions | undefined {
  const budgetMs = integer('--tune', options.tune, 0);
  if (budgetMs === undefined) return undefined;
  return {
    budgetMs,
    signal,
    onPick({ layers, choice, milliseconds, defaultMilliseconds, source, timed, refused }) {
      const gain = `${significant(defaultMilliseconds / milliseconds)} x the default`;
      const how = source === 'measured' ? `best of ${timed}, ${gain}` : `remembered, ${gain} then`;
      note(`  ${layers.join(', ')}: ${choice} (${how})`);
      for (const label of refused) note(`    refused: ${label} fails or computes something else`);
    },
  };
}
