import type { Page } from 'puppeteer';

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  /** Microseconds by the wall clock, and of CPU time of the thread. */
  dur?: number;
  tdur?: number;
}

/** The page's own thread while something ran. */
export interface MainThread {
  tasks: number;
  /** Milliseconds of the longest task: what it computed, and how long it took on a machine that does other work too. */
  cpuMs: number;
  wallMs: number;
}

const MARK = 'main thread of this page';

/**
 * Traces the tasks of the page's own thread during `work`. A task's CPU time is what the page asked for; its wall-clock
 * time also counts while the thread waits for a core, which a renderer on the CPU keeps busy.
 */
export async function traceMainThread(page: Page, work: () => Promise<unknown>): Promise<MainThread> {
  await page.tracing.start({ categories: ['disabled-by-default-devtools.timeline', 'blink.user_timing'] });
  // The trace names threads by number; this mark tells which of them is the page's.
  await page.evaluate((mark) => performance.mark(mark), MARK);
  await work();
  const trace = await page.tracing.stop();
  const { traceEvents } = JSON.parse(new TextDecoder().decode(trace)) as { traceEvents: TraceEvent[] };
  const own = traceEvents.find(({ name }) => name === MARK);
  if (!own) throw new Error('the trace lost the mark of the page’s thread');
  const tasks = traceEvents.filter(
    ({ name, ph, pid, tid }) => name === 'RunTask' && ph === 'X' && pid === own.pid && tid === own.tid,
  );
  if (!tasks.some(({ tdur }) => tdur)) throw new Error('the trace holds no CPU times');
  const longest = (of: (event: TraceEvent) => number | undefined) =>
    Math.max(0, ...tasks.map((event) => of(event) ?? 0)) / 1000;
  return { tasks: tasks.length, cpuMs: longest(({ tdur }) => tdur), wallMs: longest(({ dur }) => dur) };
}
