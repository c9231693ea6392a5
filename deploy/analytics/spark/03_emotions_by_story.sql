-- The mean probability of each emotion in each story, and how often the emotion leads.
CREATE OR REPLACE TEMPORARY VIEW stories_emotions_by_story AS
SELECT
  document,
  model,
  emotion,
  COUNT(*) AS paragraphs,
  AVG(probability) AS mean_probability,
  CAST(SUM(CASE WHEN label = emotion THEN 1 ELSE 0 END) AS BIGINT) AS leading_paragraphs,
  CAST(SUM(CASE WHEN label = emotion THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*) AS leading_share
FROM stories_emotions_long AS emotions_long
GROUP BY
  document,
  model,
  emotion
