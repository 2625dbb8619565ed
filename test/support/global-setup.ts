import type { TestProject } from 'vitest/node';
import { createRuntime } from '../../src/gpu/runtime.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    slowAdapter: boolean;
  }
}

/** Looks at the adapter once, before any file: on SwiftShader the long tests are left out, or run a smaller sample. */
export default async function setup(project: TestProject): Promise<void> {
  if (process.env.LLOYD_TESTS === 'all') return project.provide('slowAdapter', false);
  // Without an adapter the tests themselves fail, each with the reason.
  const runtime = await createRuntime().catch(() => null);
  project.provide('slowAdapter', runtime?.adapter.software === 'swiftshader');
  runtime?.destroy();
}
