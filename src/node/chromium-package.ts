import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream';
import { pipeline as finished } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';
import { cachedFolder, exists } from './cache.ts';
import { extractTar } from './tar.ts';

/**
 * `@sparticuz/chromium` holds a headless Chromium, its Vulkan loader and SwiftShader for Linux x64. Its own helper
 * unpacks to a fixed temporary path and takes whatever is there, so an interrupted run breaks it for good; this
 * unpacks into our cache instead, each archive to a folder named after the package's version.
 */
async function locate(): Promise<{ bin: string; version: string } | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  } catch {
    return null;
  }
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const bin = join(folder, 'bin');
    if (!(await exists(join(bin, 'swiftshader.tar.br')))) continue;
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    return { bin, version };
  }
  return null;
}

/** A folder with `libvulkan.so.1`, SwiftShader's driver and `vk_swiftshader_icd.json`; null where the package is not. */
export async function unpackSwiftshader(): Promise<string | null> {
  const found = await locate();
  if (!found) return null;
  return cachedFolder(`swiftshader-${found.version}`, (folder) =>
    extractTar(brotli(join(found.bin, 'swiftshader.tar.br')), folder),
  );
}

/** A folder with `chromium`, SwiftShader beside it as Chromium wants, and libraries under `lib`; null where the package is not. */
export async function unpackChromium(): Promise<string | null> {
  const found = await locate();
  if (!found) return null;
  return cachedFolder(`chromium-${found.version}`, async (folder) => {
    const executable = join(folder, 'chromium');
    await finished(brotli(join(found.bin, 'chromium.br')), createWriteStream(executable));
    await chmod(executable, 0o755);
    await extractTar(brotli(join(found.bin, 'swiftshader.tar.br')), folder);
    await extractTar(brotli(join(found.bin, 'al2023.tar.br')), folder);
  });
}

function brotli(path: string) {
  // An error reaches whoever reads the last stream; the callback form only has to be given one.
  return pipeline(createReadStream(path), createBrotliDecompress(), () => {});
}
