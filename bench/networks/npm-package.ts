import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { cachedFolder, inTemporaryFolder } from '../../src/node/cache.ts';
import { extractTar } from '../../src/node/tar.ts';

/**
 * The files of an npm package, fetched through the user's own npm into the cache; null, with a printed reason, where
 * that can't be.
 *
 * @param specifier `name@version`
 */
export async function npmPackage(specifier: string): Promise<string | null> {
  try {
    const folder = await cachedFolder(`network-${specifier.replaceAll(/[^\w.-]/g, '_')}`, (target) =>
      inTemporaryFolder(target, async (temporary) => {
        const { status, stderr } = spawnSync('npm', ['pack', specifier, '--ignore-scripts', '--silent'], {
          env: { ...process.env, npm_config_pack_destination: temporary },
          encoding: 'utf8',
          timeout: 120_000,
          shell: process.platform === 'win32',
        });
        if (status !== 0) throw new Error(stderr?.trim().slice(0, 200) || `npm pack ended with ${status}`);
        const archive = (await readdir(temporary)).find((name) => name.endsWith('.tgz'));
        await extractTar(createReadStream(join(temporary, archive!)).pipe(createGunzip()), target);
      }),
    );
    return join(folder, 'package');
  } catch (error) {
    console.log(`${specifier} cannot be fetched: ${(error as Error).message}`);
    return null;
  }
}
