import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CompareReport } from './compare-file.ts';
import { findPackageRoot } from './files.ts';

/**
 * The report of most images among bench/results/compare-*.json that this command wrote for the same weights by the
 * same rule; null where there is none, as in the installed package.
 */
export async function findRecorded(
  weightsSha256: string,
  requantize: string,
  fewest: number,
): Promise<CompareReport | null> {
  const folder = join(await findPackageRoot(), 'bench', 'results');
  const names = await readdir(folder).catch(() => []);
  let best: CompareReport | null = null;
  for (const name of names.filter((file) => /^compare-.*\.json$/.test(file)).sort()) {
    const report = await readReport(join(folder, name));
    if (report?.weights?.sha256 !== weightsSha256 || report.requantize !== requantize) continue;
    if (report.interrupted) continue;
    if (report.images >= Math.max(fewest, (best?.images ?? 0) + 1)) best = report;
  }
  return best;
}

/** A file that somebody left half merged is no reason for the comparison to fail. */
async function readReport(path: string): Promise<CompareReport | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return null;
  }
}
