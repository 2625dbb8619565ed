import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/**
 * Links among a site's pages, or among Markdown files, that lead to no file, or to a place that their page lacks; as
 * `page: link`. Other sites' are left alone: nothing here can say whether they answer.
 *
 * @param files pages whose links are looked at
 * @param folder what the answer's names start from
 */
export function deadLinks(files: readonly string[], folder: string): string[] {
  const places = new Map<string, Set<string>>();
  const placesOf = (page: string): Set<string> => {
    const known = places.get(page) ?? placesIn(page, readFileSync(page, 'utf8'));
    places.set(page, known);
    return known;
  };
  const isAlive = (page: string, link: string): boolean => {
    const [path, place] = decodeURIComponent(link).split('#');
    let target = path === '' ? page : join(dirname(page), path.split('?')[0]);
    if (!existsSync(target)) return false;
    if (statSync(target).isDirectory() && page.endsWith('.html')) target = join(target, 'index.html');
    return !place || (/\.(html|md|svg)$/.test(target) && existsSync(target) && placesOf(target).has(place));
  };
  return files.flatMap((page) =>
    linksOf(page, readFileSync(page, 'utf8'))
      .filter((link) => !/^(https?|mailto|data):/.test(link) && !isAlive(page, link))
      .map((link) => `${relative(folder, page)}: ${link}`),
  );
}

/** Every file of a folder and below whose name ends so. */
export function filesOf(folder: string, extension: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .map((name) => join(folder, name));
}

const isMarkdown = (page: string) => page.endsWith('.md');
const withoutCode = (markdown: string) =>
  markdown.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

function linksOf(page: string, text: string): string[] {
  const pattern = isMarkdown(page) ? /\]\(([^)\s]+)[^)]*\)/g : /\s(?:href|src)="([^"]*)"/g;
  const links = (isMarkdown(page) ? withoutCode(text) : text).matchAll(pattern);
  return [...links].map(([, link]) => link.replaceAll('&amp;', '&'));
}

/** Ids of a page; of Markdown what GitHub makes of its headings. */
function placesIn(page: string, text: string): Set<string> {
  if (!isMarkdown(page)) return new Set([...text.matchAll(/\s(?:id|name)="([^"]+)"/g)].map(([, id]) => id));
  const headings = text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.*)$/gm);
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
  return new Set([...headings].map(([, heading]) => slug(heading)));
}
