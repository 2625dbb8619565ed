// npm test -- [vitest arguments]: the whole suite, ending with a plain line `N passed, N failed`.
// --all runs the long suites in full; otherwise they take a seeded sample and print how much of it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './package.mjs';

const all = process.argv.includes('--all');
const rest = process.argv.slice(2).filter((argument) => argument !== '--all');
const folder = mkdtempSync(join(tmpdir(), 'lloyd-test-'));
const results = join(folder, 'results.json');
const { status } = spawnSync(
  process.execPath,
  [
    `${root}/node_modules/vitest/vitest.mjs`,
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${results}`,
    ...rest,
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...(all && { LLOYD_TESTS: 'all' }) } },
);
const { passed, failed } = count();
console.log(`${passed} passed, ${failed} failed`);
process.exit(status === 0 && failed === 0 ? 0 : status || 1);

function count() {
  let report;
  try {
    report = JSON.parse(readFileSync(results, 'utf8'));
  } catch {
    console.error('the test runner ended without a report');
    return { passed: 0, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  // A file that does not load, or whose process dies, fails without a failed test of its own.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((result) => result.status === 'failed'),
  ).length;
  const failed = report.numFailedTests + broken;
  return { passed: report.numPassedTests, failed: status !== 0 && failed === 0 ? 1 : failed };
}
