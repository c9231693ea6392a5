-- The course of each emotion through each story, at 100 points of equal width, smoothed.
--
-- document: the story
-- model: name, version, precision and policy
-- emotion: the emotion
-- point: the hundredth of the story, from 0 to 99; points without paragraphs are left out
-- position: the mean position of the paragraphs of this point
-- paragraphs: the number of paragraphs of this point
-- probability: the mean probability of the emotion
-- smoothed: the mean probability of the paragraphs of this point and of the 4 points on each side
SELECT
  document,
  model,
  emotion,
  point,
  mean_position AS position,
  paragraphs,
  total / paragraphs AS probability,
  SUM(total) OVER (
    PARTITION BY document, model, emotion ORDER BY point RANGE BETWEEN 4 PRECEDING AND 4 FOLLOWING
  ) / SUM(paragraphs) OVER (
    PARTITION BY document, model, emotion ORDER BY point RANGE BETWEEN 4 PRECEDING AND 4 FOLLOWING
  ) AS smoothed
FROM (
  SELECT
    document,
    model,
    emotion,
    point,
    AVG(CAST(position AS DOUBLE)) AS mean_position,
    COUNT(*) AS paragraphs,
    SUM(probability) AS total
  FROM (
    SELECT
      document,
      model,
      emotion,
      position,
      probability,
      CAST(FLOOR(
        CAST(position - MIN(position) OVER (PARTITION BY document, model, emotion) AS DOUBLE) * 100
        / (
          MAX(position) OVER (PARTITION BY document, model, emotion)
          - MIN(position) OVER (PARTITION BY document, model, emotion) + 1
        )
      ) AS INTEGER) AS point
    FROM emotions_long
    WHERE document IS NOT NULL AND position IS NOT NULL
  ) AS located
  GROUP BY document, model, emotion, point
) AS points
