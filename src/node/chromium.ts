import { execFile } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { check } from '../gpu/errors.ts';
import { exists } from './cache.ts';
import { unpackChromium } from './chromium-package.ts';

/** How to start a browser that has WebGPU without a graphics card. */
export interface ChromiumLaunch {
  executablePath: string;
  /** Command-line switches, without a profile folder: give each browser a fresh one (Puppeteer does). */
  args: string[];
  /** The environment to start it with: this process's own without its Vulkan drivers, and a library path if need be. */
  env: Record<string, string | undefined>;
  source: 'PUPPETEER_EXECUTABLE_PATH' | 'installed' | '@sparticuz/chromium';
}

const ARGS = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--no-sandbox',
  // Containers give /dev/shm 64 MB, which a few GPU uploads fill.
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--no-default-browser-check',
  '--no-pings',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-domain-reliability',
  '--disable-sync',
  '--metrics-recording-only',
];

const INSTALLED: Partial<Record<NodeJS.Platform, string[]>> = {
  linux: ['google-chrome-stable', 'google-chrome', 'chromium', 'chromium-browser'],
  darwin: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
  ],
  win32: ['PROGRAMFILES', 'PROGRAMFILES(X86)', 'LOCALAPPDATA'].flatMap((name) =>
    process.env[name] ? [join(process.env[name], 'Google', 'Chrome', 'Application', 'chrome.exe')] : [],
  ),
};

/** Which drivers the Vulkan loader takes: the caller's choice would hide the SwiftShader that the browser brings along. */
const DRIVER_VARIABLES = [
  'VK_DRIVER_FILES',
  'VK_ICD_FILENAMES',
  'VK_ADD_DRIVER_FILES',
  'VK_LOADER_DRIVERS_SELECT',
  'VK_LOADER_DRIVERS_DISABLE',
];

/**
 * A Chromium with WebGPU on SwiftShader: `PUPPETEER_EXECUTABLE_PATH`, else an installed Chrome or Chromium, else the
 * one of the optional package `@sparticuz/chromium` (Linux x64), unpacked into the cache on first use.
 *
 * @returns what a launcher needs, or null where there is no browser
 * @throws LloydError when PUPPETEER_EXECUTABLE_PATH names no file
 * @example
 * const chromium = await findChromium();
 * if (chromium) {
 *   const browser = await puppeteer.launch({ headless: true, ...chromium });
 *   const page = await browser.newPage();
 *   await page.goto('http://localhost:5173');
 *   await browser.close();
 * }
 */
export async function findChromium(): Promise<ChromiumLaunch | null> {
  const env = { ...process.env };
  for (const name of DRIVER_VARIABLES) delete env[name];
  const named = process.env.PUPPETEER_EXECUTABLE_PATH;
  if (named) {
    check(
      await exists(named),
      'PUPPETEER_EXECUTABLE_PATH must name a browser',
      named,
      'correct it or unset it',
    );
    return { executablePath: named, args: ARGS, env, source: 'PUPPETEER_EXECUTABLE_PATH' };
  }
  const installed = await findInstalled();
  if (installed) return { executablePath: installed, args: ARGS, env, source: 'installed' };
  const folder = await unpackChromium();
  if (!folder) return null;
  const executablePath = join(folder, 'chromium');
  if (!(await starts(executablePath, env))) {
    env.LD_LIBRARY_PATH = [join(folder, 'lib'), env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
  }
  return { executablePath, args: ARGS, env, source: '@sparticuz/chromium' };
}

async function findInstalled(): Promise<string | null> {
  const folders =
    process.platform === 'linux' ? (process.env.PATH ?? '').split(delimiter).filter(Boolean) : [''];
  for (const name of INSTALLED[process.platform] ?? []) {
    for (const folder of folders) {
      const path = folder ? join(folder, name) : name;
      if (await exists(path)) return path;
    }
  }
  return null;
}

/** Whether the system has the libraries that it is linked with (slim images lack libnss3, libnspr4, libexpat). */
function starts(executable: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(executable, ['--version'], { env, timeout: 20_000 }, (error) => resolve(error === null));
  });
}
