// What the command line writes where: whole files, links and pipes as they are, and never over what is read.
import { execFile, execFileSync } from 'node:child_process';
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkWritable, writeAtomically } from '../../src/cli/files.ts';
import { createLedger } from '../../src/cli/ledger.ts';

const root = await mkdtemp(join(tmpdir(), 'lloyd-files-'));
afterAll(() => rm(root, { recursive: true, force: true }));
let folder = '';
let before = '';
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'case-'));
  before = process.cwd();
  process.chdir(folder);
});
afterEach(() => process.chdir(before));

const isRoot = process.getuid?.() === 0;
const unix = process.platform !== 'win32';
const leftovers = async () => (await readdir(folder)).filter((name) => name.endsWith('.part'));

describe('writing', () => {
  test('replaces a file whole, with the mode it had', async () => {
    await writeFile('secret', 'old', { mode: 0o600 });
    await writeFile('shared', 'old');
    await chmod('shared', 0o664);
    for (const name of ['secret', 'shared', 'fresh']) await writeAtomically(name, 'new');
    expect((await stat('secret')).mode & 0o777).toBe(0o600);
    expect((await stat('shared')).mode & 0o777).toBe(0o664);
    expect((await stat('fresh')).mode & 0o777).toBe(0o666 & ~process.umask());
    expect(await readFile('secret', 'utf8')).toBe('new');
    expect(await leftovers()).toEqual([]);
  });

  test.skipIf(!unix)('follows links, dangling ones too, and leaves them links', async () => {
    await mkdir('deep/er', { recursive: true });
    await writeFile('deep/file', 'old');
    await symlink('deep/file', 'to-file');
    await symlink('to-file', 'to-link');
    await symlink('deep/er', 'to-folder');
    await symlink('deep/none', 'dangling');
    await writeAtomically('to-link', 'one');
    await writeAtomically('to-folder/../two', 'two');
    await writeAtomically('dangling', 'three');
    expect(await readFile('deep/file', 'utf8')).toBe('one');
    // Where the system says `..` leads: out of the folder that the link names.
    expect(await readFile('deep/two', 'utf8')).toBe('two');
    expect(await readFile('deep/none', 'utf8')).toBe('three');
    for (const name of ['to-file', 'to-link', 'dangling'])
      expect((await lstat(name)).isSymbolicLink()).toBe(true);
    await symlink('round', 'round');
    await expect(writeAtomically('round', '')).rejects.toThrow();
  });

  test.skipIf(!unix)(
    'fills a pipe with all of it, whenever its reader comes',
    { timeout: 20_000 },
    async () => {
      execFileSync('mkfifo', ['pipe']);
      const bytes = new Uint8Array(3_000_000).map((_, i) => (i * 31) >> 3);
      const writing = writeAtomically('pipe', bytes);
      const { stdout } = await promisify(execFile)('sh', ['-c', 'sleep 0.2; cat pipe'], {
        encoding: 'buffer',
        maxBuffer: 1e7,
      });
      await writing;
      expect(Buffer.compare(stdout, bytes)).toBe(0);
      expect((await stat('pipe')).isFIFO()).toBe(true);
      const controller = new AbortController();
      const alone = writeAtomically('pipe', 'nobody reads', controller.signal);
      setTimeout(() => controller.abort(new Error('stopped')), 20);
      await expect(alone).rejects.toThrow('stopped');
    },
  );

  test.skipIf(!unix)('writes to a device, and leaves it one', async () => {
    await symlink('/dev/null', 'nothing');
    await checkWritable('--json', 'nothing');
    await writeAtomically('nothing', 'x');
    expect((await stat('nothing')).isCharacterDevice()).toBe(true);
    expect((await lstat('nothing')).isSymbolicLink()).toBe(true);
  });

  test.skipIf(process.platform !== 'linux')('writes on to an open descriptor', async () => {
    const file = await open('log', 'w');
    await file.write('before, ');
    await writeAtomically(`/proc/self/fd/${file.fd}`, 'this, ');
    await writeAtomically(`/dev/fd/${file.fd}`, 'and that');
    await file.close();
    expect(await readFile('log', 'utf8')).toBe('before, this, and that');
  });

  test('refuses what no file can be, before the work', async () => {
    await mkdir('here');
    await writeFile('file', '');
    for (const [path, rule] of [
      ['', /--out must name a file; received ""/],
      ['here', /--out must name a file; received "here, a folder"/],
      ['here/', /--out must name a file; received "here\/"/],
      ['none/x', /--out must name a file in an existing folder; received "none\/x"; create .*none first/],
      ['file/x', /--out must name a file in an existing folder/],
      ['a\0b', /--out must name a file; received "a\\u0000b"/],
      ['x'.repeat(300), /--out must name a file that can be reached/],
    ] as const) {
      await expect(checkWritable('--out', path), path).rejects.toThrow(rule);
    }
    if (isRoot) return;
    await chmod('file', 0o400);
    await expect(checkWritable('--out', 'file')).rejects.toThrow(/a file that may be written/);
    await chmod('here', 0o500);
    await expect(checkWritable('--out', 'here/x')).rejects.toThrow(/in a writable folder/);
  });
});

describe('no output is an input or another output', () => {
  test.skipIf(!unix)('however its path is spelled, whichever is named first', async () => {
    await mkdir('sub');
    await writeFile('in', 'input');
    await symlink('in', 'soft');
    await link('in', 'hard');
    await symlink('.', 'self');
    for (const spelled of ['in', './in', 'sub/../in', join(folder, 'in'), 'soft', 'hard', 'self/self/in']) {
      const first = createLedger();
      await first.read('in');
      await expect(first.claim('--out', spelled), spelled).rejects.toThrow(
        /--out must be another file than the input; received/,
      );
      const second = createLedger();
      await second.claim('--json', spelled);
      await expect(second.read('in'), spelled).rejects.toThrow(/--json must be another file than the input/);
      const third = createLedger();
      await third.claim('--out', 'in');
      await expect(third.claim('--json', spelled), spelled).rejects.toThrow(
        /--json must be another file than --out/,
      );
    }
    expect(await readFile('in', 'utf8')).toBe('input');
  });

  test('nor where neither is there yet', async () => {
    await mkdir('sub');
    if (unix) await symlink('new', 'dangling');
    for (const spelled of ['new', 'sub/../new', ...(unix ? ['dangling'] : [])]) {
      const files = createLedger();
      await files.claim('--out', 'new');
      await expect(files.claim('--json', spelled), spelled).rejects.toThrow(/another file than --out/);
      expect(await files.isFree('new')).toBe(false);
      expect(await files.isFree('other')).toBe(true);
    }
    // Two names here, one where the file system folds case: it is asked, not guessed.
    const folds = await stat('SUB').then(
      () => true,
      () => false,
    );
    const files = createLedger();
    await files.claim('--out', 'Name');
    const other = files.claim('--json', 'name');
    await (folds ? expect(other).rejects.toThrow(/another file/) : other);
    expect(await leftovers()).toEqual([]);
  });

  test.skipIf(!unix)('a link turned to the input meanwhile is seen when it is written', async () => {
    await writeFile('in', 'input');
    await symlink('elsewhere', 'out');
    const files = createLedger();
    await files.read('in');
    const out = await files.claim('--out', 'out');
    await rm('out');
    await symlink('in', 'out');
    await expect(out.write('lost')).rejects.toThrow(/--out must be another file than the input/);
    expect(await readFile('in', 'utf8')).toBe('input');
    expect([...files.written]).toEqual([]);
  });

  test.skipIf(!unix)('/dev/null takes both', async () => {
    const files = createLedger();
    for (const flag of ['--out', '--json']) {
      const out = await files.claim(flag, '/dev/null');
      expect(out.replaceable).toBe(false);
    }
  });

  test('a file stays the same output once it is written', async () => {
    const files = createLedger();
    const out = await files.claim('--out', 'out');
    await out.write('first');
    await expect(files.claim('--json', 'out')).rejects.toThrow(/another file than --out/);
    await out.write('second');
    expect(await readFile('out', 'utf8')).toBe('second');
    expect([...files.written]).toEqual(['out']);
  });
});
