import { spawnSync } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { extractTar } from '../../src/node/tar.ts';

const root = join(import.meta.dirname, '../..');

/** Whether `npm run build` has run, declarations included; without it there is nothing to pack. */
export const isBuilt = existsSync(join(root, 'dist/.stamp')) && existsSync(join(root, 'dist/types'));

/** A folder of somebody else's, outside the clone, with the package in it as `npm install` of its tarball lays it out. */
export interface Consumer {
  folder: string;
  tarball: string;
  remove(): Promise<void>;
}

/**
 * Packs what is built and installs it, without the registry, in a new folder.
 *
 * @param packages of the clone's node_modules that its user has beside it; its own dependencies come along
 */
export async function installPacked(packages: readonly string[]): Promise<Consumer> {
  const folder = await mkdtemp(join(tmpdir(), 'lloyd-consumer-'));
  const options = ['--pack-destination', folder, '--ignore-scripts', '--silent'];
  const { status, stderr } = spawnSync('npm', ['pack', ...options], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error(`npm pack: ${stderr}`);
  const tarball = join(folder, (await readdir(folder)).find((name) => name.endsWith('.tgz'))!);
  await extractTar(createReadStream(tarball).pipe(createGunzip()), folder);
  const modules = join(folder, 'node_modules');
  await mkdir(modules);
  await rename(join(folder, 'package'), join(modules, 'lloyd'));
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    await readFile(join(modules, 'lloyd/package.json'), 'utf8'),
  );
  for (const name of [...Object.keys({ ...dependencies, ...optionalDependencies }), ...packages]) {
    await mkdir(join(modules, name, '..'), { recursive: true });
    await symlink(join(root, 'node_modules', name), join(modules, name), 'dir');
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  return { folder, tarball, remove: () => rm(folder, { recursive: true, force: true }) };
}
