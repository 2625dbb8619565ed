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
export const npmPackage = (specifier: string): Promise<string | null> =>
  fetched(`network-${specifier}`, specifier, 'package', (target) =>
    inTemporaryFolder(target, async (temporary) => {
      npm(['pack', specifier], { npm_config_pack_destination: temporary });
      const archive = (await readdir(temporary)).find((name) => name.endsWith('.tgz'));
      await extractTar(createReadStream(join(temporary, archive!)).pipe(createGunzip()), target);
    }),
  );

/** The same of a package that is to be imported: with those that it depends on. */
export const npmModule = (specifier: string): Promise<string | null> =>
  fetched(
    `module-${specifier}`,
    specifier,
    join('node_modules', specifier.replace(/@[^@]*$/, '')),
    (target) => npm(['install', specifier, '--prefix', target, '--no-audit', '--no-fund']),
  );

async function fetched(
  name: string,
  specifier: string,
  inside: string,
  fill: (target: string) => void | Promise<void>,
): Promise<string | null> {
  try {
    const folder = await cachedFolder(name.replaceAll(/[^\w.-]/g, '_'), async (target) => fill(target));
    return join(folder, inside);
  } catch (error) {
    console.log(`${specifier} cannot be fetched: ${(error as Error).message}`);
    return null;
  }
}

function npm(command: readonly string[], environment: NodeJS.ProcessEnv = {}): void {
  const { status, stderr } = spawnSync('npm', [...command, '--ignore-scripts', '--silent'], {
    env: { ...process.env, ...environment },
    encoding: 'utf8',
    timeout: 120_000,
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error(stderr?.trim().slice(0, 200) || `npm ${command[0]} ended with ${status}`);
}
