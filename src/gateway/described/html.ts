/** HTML as a value: text that is put into it is escaped, unless it is HTML already. */

/** HTML that may stand in a page as it is. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may be put into HTML. */
export type Piece = string | Html | readonly Piece[];

/** HTML with `pieces` in it: html`<p>${sentence}</p>`. Lists are put in one after the other. */
export function html(literals: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return new Html(literals.map((literal, place) => literal + textOf(pieces[place] ?? '')).join(''));
}

/** What is HTML already, by whoever wrote it. Never of anything that comes from outside. */
export function raw(text: string): Html {
  return new Html(text);
}

function textOf(piece: Piece): string {
  if (piece instanceof Html) return piece.text;
  if (typeof piece === 'string') return escaped(piece);
  return piece.map(textOf).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
}
