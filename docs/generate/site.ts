import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Kernel } from '../../src/gpu/declaration.ts';
import * as kernels from '../../src/kernels/index.ts';
import { kernelPage } from './kernel-page.ts';
import { deadLinks, filesOf } from './links.ts';
import { entryPoints, publicExports } from './surface.ts';

/** As much of TypeDoc's own interface as this takes. */
interface TypeDoc {
  Application: { bootstrap(options: Record<string, unknown>): Promise<Application> };
  Converter: { EVENT_CREATE_DECLARATION: string };
  ReflectionKind: { Module: number };
  Logger: new () => { log(message: string, level: number): void };
  LogLevel: { Warn: number };
}
interface Application {
  logger: object;
  converter: { on(event: string, listener: (context: Context, reflection: Reflection) => void): void };
  convert(): Promise<object | undefined>;
  validate(project: object): void;
  generateDocs(project: object, folder: string): Promise<void>;
}
interface Context {
  getSymbolFromReflection(
    reflection: Reflection,
  ): { declarations?: { getSourceFile(): { fileName: string } }[] } | undefined;
}
interface Reflection {
  name: string;
  kindOf(kind: number): boolean;
}

/** Pages beside the reference, in the order of the site's contents. */
const DOCUMENTS = [
  'docs/architecture.md',
  'docs/conformance.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'weights/README.md',
];

/**
 * Builds the reference: TypeDoc's pages of every entry point, a page a kernel, and the documents of the repository.
 *
 * @param root the clone's folder
 * @param tools where `toolsFolder` has put TypeDoc
 * @param out the site's folder, replaced
 * @returns every warning of TypeDoc and every dead link; none of either is what it should be
 */
export async function buildSite(root: string, tools: string, out: string): Promise<string[]> {
  const typedoc: TypeDoc = await import(
    /* @vite-ignore */ pathToFileURL(join(tools, 'typedoc/dist/index.js')).href
  );
  const pages = join(root, '.cache', `docs-${process.pid}`);
  await rm(out, { recursive: true, force: true });
  try {
    const kernelsDocument = await writeKernelPages(root, pages);
    const entries = entryPoints(root);
    const app = await typedoc.Application.bootstrap({
      name: 'lloyd',
      entryPoints: entries.map(({ source }) => join(root, source)),
      tsconfig: join(root, 'tsconfig.build.json'),
      basePath: root,
      out,
      readme: join(root, 'README.md'),
      projectDocuments: [...DOCUMENTS.map((name) => join(root, name)), kernelsDocument],
      skipErrorChecking: true,
      disableSources: true,
      excludePrivate: true,
      // Types of their keys are exported.
      intentionallyNotExported: ['codeOperators', 'plannedOperators'],
      validation: { invalidLink: true, invalidPath: true, notDocumented: false, notExported: true },
    });
    const complaints: string[] = [];
    app.logger = new (class extends typedoc.Logger {
      override log(message: string, level: number): void {
        if (level >= typedoc.LogLevel.Warn) complaints.push(message);
      }
    })();
    nameModules(typedoc, app, root, entries);
    const project = await app.convert();
    if (!project) return complaints;
    app.validate(project);
    await app.generateDocs(project, out);
    return [...complaints, ...deadLinks(filesOf(out, '.html'), out)];
  } finally {
    await rm(pages, { recursive: true, force: true });
  }
}

/** TypeDoc names modules by their files; a reader knows them by what is imported. */
function nameModules(
  typedoc: TypeDoc,
  app: Application,
  root: string,
  entries: readonly { entry: string; source: string }[],
): void {
  app.converter.on(typedoc.Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (!reflection.kindOf(typedoc.ReflectionKind.Module)) return;
    const file = context.getSymbolFromReflection(reflection)?.declarations?.[0]?.getSourceFile().fileName;
    const entry = file && entries.find(({ source }) => relative(root, file) === source);
    if (entry) reflection.name = entry.entry;
  });
}

/** Writes a page a kernel and one that lists them; returns the list's path. */
async function writeKernelPages(root: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const documented = publicExports(root);
  const listed = Object.entries(kernels as unknown as Record<string, Kernel>).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  for (const [name, kernel] of listed) {
    const { sentence = '', examples = [] } = documented.find((each) => each.name === `kernels.${name}`) ?? {};
    const page = kernelPage({ name, kernel, sentence, examples });
    await writeFile(join(folder, `${kernel.declaration.name}.md`), page);
  }
  const stems = listed.map(([, { declaration }]) => declaration.name);
  const list = [
    '---',
    'title: Kernels',
    'children:',
    ...stems.map((stem) => `  - ./${stem}.md`),
    '---',
    '',
    'A page a kernel: the header of its shader, and the bindings, params and overrides that its declaration has.',
    '',
    ...stems.map((stem) => `- [${stem}](./${stem}.md)`),
    '',
  ];
  const path = join(folder, 'kernels.md');
  await writeFile(path, list.join('\n'));
  return path;
}
