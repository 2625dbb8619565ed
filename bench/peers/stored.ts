import { access, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findCommit } from '../../src/cli/files.ts';
import { check, LloydError } from '../../src/gpu/errors.ts';
import type { BenchCase, BenchContext, Build, Subject } from '../types.ts';

/** An older build of this library, by its public surface. */
export interface StoredBuild {
  library: Pick<typeof import('../../src/index.ts'), 'createRuntime' | 'vgg' | 'quantizeModel' | 'compile'>;
  commit: string;
}

/**
 * Loads a stored build.
 *
 * @param folder its `dist`, beside the package.json that names its entries
 * @throws LloydError where there is none
 */
export async function openStored(folder: string): Promise<StoredBuild> {
  const given = resolve(folder);
  const dist = basename(given) === 'dist' ? given : join(given, 'dist');
  const cure =
    'git worktree add ../before COMMIT, npm ci and npm run build there, then --against ../before/dist';
  const rule = '--against must be the dist folder of a built clone';
  for (const file of [join(dist, 'index.js'), join(dirname(dist), 'package.json')]) {
    await access(file).catch(() =>
      check(false, rule, `${folder}, where there is no ${basename(file)}`, cure),
    );
  }
  try {
    // Another path than ours: Node then loads modules of its own, caches of pipelines included.
    const library = await import(
      /* @vite-ignore */ pathToFileURL(join(await realpath(dist), 'index.js')).href
    );
    return { library, commit: (await findCommit(dirname(dist))) ?? 'unknown' };
  } catch (cause) {
    throw new LloydError(rule, `${folder}, which cannot be loaded: ${(cause as Error).message}`, cure, {
      cause,
    });
  }
}

/** A whole-model case with the older build in it: beside each of ours its own, on the same device. */
export function withStored(stored: StoredBuild, benchCase: BenchCase): BenchCase {
  if (benchCase.peers?.kind !== 'vgg') return benchCase;
  const before = (subject: Subject): Subject => ({
    ...subject,
    implementation: 'lloyd-before',
    async open(context) {
      const opened = await subject.open(contextOf(context, stored));
      return { ...opened, note: `commit ${stored.commit}` };
    },
  });
  // Each after ours of the same precision: what is compared is timed at nearly the same moment.
  return { ...benchCase, subjects: benchCase.subjects.flatMap((subject) => [subject, before(subject)]) };
}

const contexts = new WeakMap<BenchContext, BenchContext>();

/** The context with the older build in it; the same object every time, so that it quantizes once. */
function contextOf(context: BenchContext, { library }: StoredBuild): BenchContext {
  let own = contexts.get(context);
  if (!own) {
    let opened: Promise<Build> | undefined;
    const open = async (): Promise<Build> => ({
      ...library,
      runtime: await library.createRuntime({ device: context.runtime.device }),
      model: library.vgg({ parameters: (await context.model()).parameters }),
    });
    own = { ...context, build: () => (opened ??= open()) };
    contexts.set(context, own);
  }
  return own;
}
