-- The paragraphs by ascending margin: those whose labels are least certain, for labelling by people.
CREATE OR REPLACE VIEW emotions.stories_uncertain_paragraphs AS
SELECT
  ROW_NUMBER() OVER (ORDER BY margin, entropy DESC, id) AS rank,
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
FROM emotions.stories_paragraphs AS paragraphs
