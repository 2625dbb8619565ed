import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LloydError } from '../gpu/errors.ts';

/** Writes a file whole or not at all: beside its place first, then renamed. */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(resolve(path)), `.${basename(path)}.${randomUUID()}.part`);
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Refuses a file that could not be written, before the work that fills it is done. */
export async function checkWritable(flag: string, path: string): Promise<void> {
  const folder = dirname(resolve(path));
  const found = await stat(folder).catch(() => null);
  if (!found?.isDirectory()) {
    throw new LloydError(`${flag} must name a file in an existing folder`, path, `create ${folder} first`);
  }
  const target = await stat(path).catch(() => null);
  if (target?.isDirectory())
    throw new LloydError(`${flag} must name a file`, `${path}, a folder`, 'add a file name');
  await access(folder, constants.W_OK).catch((cause) => {
    throw new LloydError(`${flag} must name a file in a writable folder`, path, 'choose another folder', {
      cause,
    });
  });
}

/** A file's bytes, or one clear error. */
export async function readInput(path: string): Promise<Uint8Array> {
  return readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const what = cause.code === 'ENOENT' ? 'no such file' : cause.message;
    throw new LloydError('the input must be a readable file', `${path} (${what})`, 'check the path', {
      cause,
    });
  });
}

let packageRoot: Promise<string> | undefined;

/** The folder of lloyd's own package.json: the clone, or where the package is installed. */
export function findPackageRoot(): Promise<string> {
  packageRoot ??= (async () => {
    for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
      const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => null);
      if (text && JSON.parse(text).name === 'lloyd') return folder;
      if (folder === dirname(folder)) throw new LloydError('lloyd must run from its own package', folder);
    }
  })();
  return packageRoot;
}

/** The version in package.json. */
export async function packageVersion(): Promise<string> {
  return JSON.parse(await readFile(join(await findPackageRoot(), 'package.json'), 'utf8')).version;
}

/** The commit the clone is at, `-dirty` when files differ from it; null outside a clone. */
export async function findCommit(): Promise<string | null> {
  const root = await findPackageRoot();
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', ['-C', root, ...args])).stdout.trim();
  try {
    // An installed package may lie inside somebody else's clone, whose commits say nothing of ours.
    if ((await realpath(await git('rev-parse', '--show-toplevel'))) !== (await realpath(root))) return null;
    const commit = await git('rev-parse', '--short=12', 'HEAD');
    return (await git('status', '--porcelain', '--untracked-files=no')) ? `${commit}-dirty` : commit;
  } catch {
    return null;
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
