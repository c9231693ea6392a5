-- The paragraphs by ascending margin: those whose labels are least certain, for labelling by people.
CREATE OR REPLACE TEMPORARY VIEW stories_uncertain_paragraphs AS
SELECT
  ROW_NUMBER() OVER (ORDER BY margin NULLS LAST, entropy DESC, id NULLS LAST) AS rank,
  id,
  document,
  position,
  text_sha256,
  label,
  labels,
  confidence,
  second_label,
  margin,
  entropy,
  tokens,
  model
FROM stories_paragraphs AS paragraphs
