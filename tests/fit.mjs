// Counts texts as the networks' own libraries do: lines of JSON {text} in, lines of JSON out.
import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(process.env.ALLIM_TEST_TOOLS + '/');
const twitter = require('twitter-text');
const { RichText } = require('@atproto/api');

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { text } = JSON.parse(line);
  const weighted = twitter.parseTweet(text);
  const rich = new RichText({ text });
  rich.detectFacetsWithoutResolution();
  const facets = (rich.facets ?? []).map(({ index, features }) => {
    const { $type, uri, tag } = features[0];
    return { start: index.byteStart, end: index.byteEnd, kind: $type.split('#')[1], says: uri ?? tag };
  });
  console.log(JSON.stringify({ weighted: weighted.weightedLength, valid: weighted.valid, graphemes: rich.graphemeLength, octets: rich.length, facets }));
}
