-- One row for each scored paragraph that is not deleted, with measures of the model's certainty.
--
-- id: the id of the paragraph
-- document: the story, or NULL if the table was scored without documents
-- position: the position in the story, from 0, or NULL
-- text_sha256: SHA-256 of the text, in hexadecimal
-- label: the emotion with the highest probability
-- labels: the emotions of the paragraph, in alphabetical order, or (no label)
-- label_count: the number of emotions of the paragraph: 1 from a single-label model
-- confidence: the highest probability
-- second_label: the emotion with the second highest probability
-- margin: the certainty of the least certain decision of the model, from 0 to 1
-- entropy: the entropy of the probabilities divided by its maximum: 0 (certain) to 1
-- tokens: the number of tokens of the text
-- chunks: the number of chunks that the text was split into
-- truncated: whether the end of the text was ignored
-- flags: reasons why the score is not reliable, such as language, separated by commas; empty without
-- flagged: whether there are flags
-- model: name, version, precision and policy; scores of different models are not comparable
-- scored_at: the time of the score in UTC, without a time zone
-- day: the date of scored_at
SELECT
  id,
  document,
  position,
  text_sha256,
  label,
  LABELS_OF(scores) AS labels,
  CAST(LABEL_COUNT(scores) AS BIGINT) AS label_count,
  undertone_highest AS confidence,
  SECOND_LABEL(undertone_second) AS second_label,
  MARGIN(undertone_highest, undertone_second) AS margin,
  ENTROPY() AS entropy,
  tokens,
  chunks,
  truncated,
  COALESCE(flags, '') AS flags,
  COALESCE(flags, '') <> '' AS flagged,
  MODEL_OF(scores) AS model,
  TIME_IN_UTC(scored_at) AS scored_at,
  DAY_IN_UTC(scored_at) AS day
FROM (
  SELECT scores.*, HIGHEST_PROBABILITY() AS undertone_highest, SECOND_PROBABILITY() AS undertone_second
  FROM scores
  WHERE deleted_at IS NULL
) AS scores
