import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder } from '../../src/node/cache.ts';

/**
 * The folder of the packages that check and document this one (TypeDoc, publint, other TypeScripts): fetched once
 * through the user's own npm into the cache, as `docs/tools/package-lock.json` pins them; null, with a printed reason,
 * where that can't be.
 *
 * @param root the clone's folder
 */
export async function toolsFolder(root: string): Promise<string | null> {
  const own = join(root, 'docs/tools');
  try {
    const lock = await readFile(join(own, 'package-lock.json'));
    const hash = createHash('sha256').update(lock).digest('hex').slice(0, 12);
    const folder = await cachedFolder(`tools-${hash}`, async (target) => {
      for (const name of ['package.json', 'package-lock.json'])
        await copyFile(join(own, name), join(target, name));
      const options = ['--prefix', target, '--ignore-scripts', '--no-audit', '--no-fund', '--silent'];
      const { status, stderr } = spawnSync('npm', ['ci', ...options], {
        cwd: target,
        encoding: 'utf8',
        timeout: 300_000,
        shell: process.platform === 'win32',
      });
      if (status !== 0) throw new Error(stderr?.trim().slice(0, 200) || `npm ci ended with ${status}`);
    });
    return join(folder, 'node_modules');
  } catch (error) {
    console.log(`the packages of docs/tools cannot be fetched: ${(error as Error).message}`);
    return null;
  }
}
